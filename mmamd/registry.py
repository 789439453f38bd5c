"""Child registries of the scope ``mmamd``.

Each one names the modules that register its components, so that ``type='mmamd.X'`` resolves from any config without
``custom_imports``.
"""

from mmengine import registry as root

DATASETS = root.Registry('dataset', parent=root.DATASETS, scope='mmamd', locations=['mmamd.datasets'])
DATA_SAMPLERS = root.Registry('data sampler', parent=root.DATA_SAMPLERS, scope='mmamd', locations=['mmamd.datasets'])
FUNCTIONS = root.Registry('function', parent=root.FUNCTIONS, scope='mmamd', locations=['mmamd.pipeline.seeding'])
HOOKS = root.Registry('hook', parent=root.HOOKS, scope='mmamd',
                      locations=['mmamd.distillation', 'mmamd.selection.npsd_hook', 'mmamd.pipeline.seeding',
                                 'mmamd.pipeline.divergence'])
KD_CALIBRATIONS = root.Registry('calibration', scope='mmamd', locations=['mmamd.distillation.operations'])
KD_DISTANCES = root.Registry('distance', scope='mmamd', locations=['mmamd.distillation.operations'])
KD_TRANSFORMS = root.Registry('knowledge transform', scope='mmamd', locations=['mmamd.distillation.operations'])
LOOPS = root.Registry('loop', parent=root.LOOPS, scope='mmamd',
                      locations=['mmamd.distillation', 'mmamd.selection.evaluation', 'mmamd.search.distpro'])
METHODS = root.Registry('method', scope='mmamd', locations=['mmamd.methods'])
MODELS = root.Registry('model', parent=root.MODELS, scope='mmamd',
                       locations=['mmamd.backbones', 'mmamd.distillation', 'mmamd.selection.panel'])
OPTIM_WRAPPERS = root.Registry('optimizer wrapper', parent=root.OPTIM_WRAPPERS, scope='mmamd',
                               locations=['mmamd.distillation'])
RUNNERS = root.Registry('runner', parent=root.RUNNERS, scope='mmamd', locations=['mmamd.pipeline.runner'])
SEARCHES = root.Registry('search', scope='mmamd',
                         locations=['mmamd.search.distpro.stage', 'mmamd.search.kd_zero.stage'])
