"""Child registries of the scope ``mmamd``.

Each one names the modules that register its components, so that ``type='mmamd.X'`` resolves from any config without
``custom_imports``.
"""

from importlib import import_module
from typing import Any

from mmengine import registry as root


class RegistryWithMMSeg(root.Registry):
    """A registry of which some components are built on MMSegmentation, which is imported only when one is asked for.

    Args:
        of_mmseg: Name of each such component -> the module that registers it; it is in no package of ``locations``.
        kwargs: As the host's.
    """

    def __init__(self, name: str, *, of_mmseg: dict[str, str], **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.of_mmseg = of_mmseg

    def get(self, key: str) -> Any:
        """As the host's.

        Raises:
            ImportError: If the component needs MMSegmentation, and that cannot be imported.
        """
        name = str(key).rpartition('.')[2]
        if name in self.of_mmseg:
            try:
                import_module(self.of_mmseg[name])
            except ImportError as error:
                raise ImportError(f'mmamd.{name} is built on MMSegmentation, which cannot be imported ({error}). '
                                  'Install it with the full mmcv, not mmcv-lite: pip install mmcv==2.1.0 '
                                  'mmsegmentation==1.2.2 ftfy regex') from error
        return super().get(key)


DATASETS = RegistryWithMMSeg('dataset', parent=root.DATASETS, scope='mmamd', locations=['mmamd.datasets'],
                             of_mmseg={'CamVid': 'mmamd.datasets.camvid',
                                       'StreetScenes': 'mmamd.datasets.street_scenes'})
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
MODELS = RegistryWithMMSeg(
    'model', parent=root.MODELS, scope='mmamd',
    locations=['mmamd.backbones', 'mmamd.distillation', 'mmamd.selection.panel', 'mmamd.weights.compressed'],
    of_mmseg={'MaskedMiT': 'mmamd.backbones.masked_mit', 'MaskedResNetV1c': 'mmamd.backbones.masked_resnet_v1c'})
OPTIM_WRAPPERS = root.Registry('optimizer wrapper', parent=root.OPTIM_WRAPPERS, scope='mmamd',
                               locations=['mmamd.distillation'])
RUNNERS = root.Registry('runner', parent=root.RUNNERS, scope='mmamd', locations=['mmamd.pipeline.runner'])
SEARCHES = root.Registry('search', scope='mmamd',
                         locations=['mmamd.search.distpro.stage', 'mmamd.search.kd_zero.stage'])
