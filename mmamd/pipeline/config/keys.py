"""Keys of a config that are not known, refused with the ones that were probably meant."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.runner import LogProcessor
from torch.utils.data import DataLoader

from mmamd.checks import SECTION, check, check_arguments
from mmamd.nearest import did_you_mean, nearest
from mmamd.pipeline.config.kinds import OPTIONAL, STAGE, check_kinds
from mmamd.pipeline.config.kinds import TOP_LEVEL as KINDS

# What a section of a training stage may say: it is merged over the top level.
TRAINING = ('train_cfg', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'auto_scale_lr', 'custom_hooks',
           'default_hooks', 'log_processor')
DISTILLATION = (*TRAINING, 'losses', 'average', 'teacher_cache')
SECTIONS = {'joint': DISTILLATION, 'student': DISTILLATION, 'teacher': TRAINING, 'pretrain': (*DISTILLATION, 'trains')}
# The top level: keys that the host or the pipeline reads ...
TOP_LEVEL = (
    'auto_scale_lr', 'custom_hooks', 'custom_imports', 'data_preprocessor', 'default_hooks', 'default_scope', 'env_cfg',
    'launcher', 'load_from', 'log_level', 'log_processor', 'model', 'optim_wrapper', 'param_scheduler', 'randomness',
    'resume', 'runner_type', 'sync_bn', 'test_cfg', 'test_dataloader', 'test_evaluator', 'train_cfg',
    'train_dataloader', 'tta_model', 'tta_pipeline', 'val_cfg', 'val_dataloader', 'val_evaluator', 'visualizer',
    'work_dir', 'compression', 'data_root', 'joint', 'method', 'pretrain', 'search', 'start_from', 'student', 'teacher',
    'teacher_cache', 'teacher_config', 'trust_checkpoints', 'allow_overlap', 'reuse_stages', 'class_names')
# ... and variables like them, which configs are used to have.
VARIABLES = ('architecture', 'student_architecture', 'connect', 'pretrained', 'model_wrapper_cfg', 'vis_backends',
             'train_pipeline', 'val_pipeline', 'test_pipeline', 'models', 'methods', 'teachers', 'students')
# Of sections that the host reads, and passes over or trips on much later.
LOADER = ('dataset', 'sampler', 'num_batch_per_epoch', *(
    name for name in inspect.signature(DataLoader.__init__).parameters if name != 'self'))
OF_THE_HOST = {'randomness': ('seed', 'diff_rank_seed', 'deterministic'), 'train_dataloader': LOADER,
               'val_dataloader': LOADER, 'test_dataloader': LOADER, 'auto_scale_lr': ('enable', 'base_batch_size'),
               'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
               'log_processor': ('type', *(name for name in inspect.signature(LogProcessor.__init__).parameters
                                           if name != 'self'))}
CLOSE = 0.85  # similarity from which a name at the top level is taken for a mistyped key, and not for a variable
# A key of an earlier version -> what says it now.
EARLIER = {'compression.student': 'compression.student_scale', 'compression.num_assistants':
           "method=dict(type='mmamd.AMD', num_assistants=...), or method=dict(type='mmamd.KD') for none",
           'model.student_architecture': 'compression.student_architecture',
           'model.connect': 'student.losses.feat.layers'}


def check_keys(where: str, keys: Iterable[str], known: Sequence[str], hint: str = '') -> None:
    """Raise ValueError for the first key that is not known, with the nearest and what is known."""
    for key in keys:
        if f'{where}.{key}' in EARLIER:
            raise ValueError(f'{where}.{key} was the key of an earlier version; write {EARLIER[f"{where}.{key}"]}')
        if key not in known:
            raise ValueError(f'{where} has no key {key!r}{did_you_mean(key, known)} Expected some of {list(known)}'
                             f'{hint}')


def check_config(cfg: dict) -> None:
    """Raise ValueError for an unknown key in a section, or one at the top level that is near a known one."""
    for key in cfg:
        if key not in (*TOP_LEVEL, *VARIABLES) and (near := nearest(key, TOP_LEVEL, CLOSE)):
            raise ValueError(f'the config has a key {key!r}, which nothing reads; did you mean {near[0]!r}? If it is a '
                             'variable of yours, give it another name')
    check_kinds(cfg, KINDS)
    for name, known in SECTIONS.items():
        check_kinds(cfg, {name: OPTIONAL})
        check_keys(name, cfg.get(name) or {}, known)
        check_kinds(cfg.get(name) or {}, STAGE, name)
        _check_host_keys(cfg.get(name) or {}, f'{name}.')
    _check_host_keys(cfg)
    for key in ('student_architecture', 'connect'):
        if key in (cfg.get('model') or {}):
            check_keys('model', [key], ())


def _check_host_keys(found: dict, prefix: str = '') -> None:
    for name, known in OF_THE_HOST.items():
        check_keys(prefix + name, (key for key in found.get(name) or {} if key != '_delete_'), known)


def check_options(where: str, cls: type, settings: Any, hint: str | None = None) -> None:
    """Raise ValueError unless a class has all the options that a config gives it, and takes such values.

    Values are held against the annotations of the constructor (:func:`mmamd.checks.kind_of`).
    """
    check(where, settings, SECTION)
    parameters = inspect.signature(cls.__init__).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        known = [name for name in parameters if name != 'self']
        check_keys(where, (key for key in settings if key != 'type'), known,
                   f'. If it is left over from another type, add {where}._delete_=True' if hint is None else hint)
    check_arguments(where, cls, settings)
