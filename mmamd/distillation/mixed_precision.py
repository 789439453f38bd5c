"""Mixed precision on a CPU, where the host has none, and what a loss scaler leaves out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.optim import OptimWrapper

from mmamd.notices import notice
from mmamd.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Forward passes in bfloat16 autocast on the CPU; weights, gradients and optimizer stay in float32.

    Without a loss scaler: bfloat16 has the range of float32. Pays on processors that multiply in bfloat16
    (AVX512-BF16, AMX); on others it is slower than float32. Our losses are computed in float32, as is the host's
    cross-entropy with hard labels; with soft ones torch leaves its log-softmax in bfloat16.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield


def on_this_machine(optim_wrapper: dict) -> dict:
    """Settings of the optimizer wrapper as asked for, or their equal on a machine without a GPU.

    Raises:
        ValueError: If another half precision than bfloat16 is asked for on a CPU.
    """
    if optim_wrapper.get('type') not in ('AmpOptimWrapper', 'mmengine.AmpOptimWrapper') or get_device() != 'cpu':
        return optim_wrapper
    dtype = optim_wrapper.get('dtype')
    if dtype not in (None, 'bfloat16', torch.bfloat16):
        raise ValueError(f'optim_wrapper.dtype={dtype!r} needs a GPU, and there is none; on a CPU mixed precision is '
                         "dtype='bfloat16', or run without --amp")
    notice('mixed precision on a CPU: bfloat16 autocast, without a loss scaler')
    rest = {key: value for key, value in optim_wrapper.items() if key not in ('loss_scale', 'dtype', 'use_fsdp')}
    return {**rest, 'type': 'mmamd.CpuAmpOptimWrapper'}


def step(optim_wrapper: OptimWrapper) -> bool:
    """Step the optimizer; False if a loss scaler left the step out because a gradient had overflowed."""
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if scaler is None:
        optim_wrapper.step()
        return True
    if getattr(optim_wrapper.optimizer, '_step_supports_amp_scaling', False):
        # A fused optimizer is always called, and leaves the step out itself: the scale tells, if it is dynamic.
        scale = scaler.get_scale()
        optim_wrapper.step()
        return scaler.get_scale() >= scale
    steps: list[None] = []
    hook = optim_wrapper.optimizer.register_step_post_hook(lambda *_: steps.append(None))
    optim_wrapper.step()
    hook.remove()
    return bool(steps)
