"""What the keys of a config that the host reads must be: wrong types, refused before anything stumbles over them."""

from typing import Any

from mmengine.config import Config

from mmamd.checks import (
    ANY,
    COUNT,
    FLAG,
    NOTHING,
    SECTION,
    TEXT,
    Kind,
    check,
    integer,
    list_of,
    number,
    one_of,
)

OPTIONAL = SECTION | NOTHING
PARTS = list_of(SECTION)
RATE = number(0.)
# Of a training stage, and of the top level that it is merged over; a section before what is in it.
STAGE = {
    'train_cfg': OPTIONAL, 'train_cfg.max_epochs': COUNT, 'train_cfg.max_iters': COUNT, 'train_cfg.epoch_iters': COUNT,
    'train_cfg.val_interval': COUNT, 'train_cfg.by_epoch': FLAG,
    'optim_wrapper': SECTION, 'optim_wrapper.optimizer': SECTION, 'optim_wrapper.optimizer.lr': RATE,
    'optim_wrapper.optimizer.weight_decay': RATE, 'optim_wrapper.clip_grad': OPTIONAL,
    'optim_wrapper.paramwise_cfg': OPTIONAL, 'optim_wrapper.accumulative_counts': COUNT,
    'param_scheduler': SECTION | PARTS | NOTHING,
    'train_dataloader': SECTION, 'train_dataloader.batch_size': COUNT, 'train_dataloader.num_workers': integer(0),
    'train_dataloader.dataset': SECTION, 'train_dataloader.sampler': SECTION, 'train_dataloader.sampler.shuffle': FLAG,
    'train_dataloader.drop_last': FLAG, 'train_dataloader.collate_fn': ANY,
    'auto_scale_lr': OPTIONAL, 'auto_scale_lr.enable': FLAG, 'auto_scale_lr.base_batch_size': COUNT,
    'custom_hooks': PARTS | NOTHING, 'default_hooks': OPTIONAL, 'log_processor': OPTIONAL,
    'losses': OPTIONAL, 'trains': TEXT, 'teacher_cache.views': COUNT,
    'teacher_cache.top_k': COUNT}
TOP_LEVEL = {
    'model': SECTION, 'model.type': TEXT, 'model.architecture': SECTION, 'model.losses': OPTIONAL,
    'model.teacher': TEXT | NOTHING, 'model.logits_from': TEXT,
    **STAGE,
    **{f'{split}_dataloader{key}': kind for split in ('val', 'test') for key, kind in {
        '': OPTIONAL, '.batch_size': COUNT, '.num_workers': integer(0), '.dataset': SECTION,
        '.sampler': SECTION}.items()},
    'val_evaluator': SECTION | PARTS | NOTHING, 'test_evaluator': SECTION | PARTS | NOTHING,
    'val_cfg': OPTIONAL, 'test_cfg': OPTIONAL,
    # torch takes seeds of 64 bits and NumPy those of 32, which are drawn from this one.
    'randomness': OPTIONAL, 'randomness.seed': integer(0, 2**32 - 1) | NOTHING, 'randomness.deterministic': FLAG,
    'randomness.diff_rank_seed': FLAG,
    'data_preprocessor': OPTIONAL, 'data_root': TEXT | NOTHING, 'work_dir': TEXT,
    'resume': FLAG, 'load_from': TEXT | NOTHING, 'start_from': TEXT | NOTHING, 'teacher_config': TEXT | NOTHING,
    'default_scope': TEXT | NOTHING, 'env_cfg': OPTIONAL, 'env_cfg.dist_cfg': OPTIONAL, 'env_cfg.mp_cfg': OPTIONAL,
    'launcher': one_of(('none', 'pytorch', 'slurm', 'mpi')),
    'log_level': one_of(('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')) | integer(0),
    'reuse_stages': list_of(TEXT) | NOTHING,
    'visualizer': OPTIONAL, 'trust_checkpoints': FLAG, 'compression': SECTION, 'method': SECTION,
    'search': OPTIONAL, 'class_names': list_of(TEXT) | NOTHING}


def check_kinds(found: dict, kinds: dict[str, Kind], section: str = '') -> None:
    """Raise ValueError for the first key of a config, or of a section of it, that is not of its kind."""
    for path, kind in kinds.items():
        value: Any = found
        for name in path.split('.'):
            if not isinstance(value, (dict, Config)) or name not in value:
                break
            value = value[name]
        else:
            check(f'{section}.{path}' if section else path, value, kind)
