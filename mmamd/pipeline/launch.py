"""The runner that a config asks for, started also where there is no GPU."""

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmamd import compat
from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.files.checkpoint import trust_checkpoints
from mmamd.pipeline.inputs import fill_data_root


def build_runner(cfg: Config):
    """``cfg.runner_type`` where it is set, such as the pipeline; else the host's Runner, for a plain config."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    fill_data_root(cfg)
    trust_checkpoints(cfg.get('trust_checkpoints', False))
    if cfg.get('optim_wrapper'):
        cfg.optim_wrapper = on_this_machine(cfg.optim_wrapper)
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        # The host starts processes on GPUs only.
        compat.init_distributed(cfg.launcher, None)
        cfg.setdefault('model_wrapper_cfg', compat.model_wrapper_cfg())
    return Runner.from_cfg(cfg)
