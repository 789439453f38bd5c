"""Batch norm over the images of all ranks, of the leading channels.

Shapes: N samples of this rank, C channels, H x W the map.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn as nn
from mmengine import dist
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmamd.backbones.elastic_conv import Channels, ElasticBatchNorm2d

OVER = (0, 2, 3)  # all dimensions but that of the channels


class ElasticSyncBatchNorm2d(ElasticBatchNorm2d, _BatchNorm):  # by name a _BatchNorm to MMEngine's initialisation
    """An :class:`ElasticBatchNorm2d` that takes its statistics over the images of all ranks while it trains.

    At one process, and in evaluation, it is the plain one. Unlike torch's it runs on a CPU too, over gloo.

    Args:
        host: The norm whose weights, statistics and settings are adopted.
        normalises: Channels of its input and output.

    Attributes:
        synchronised: Whether other ranks are asked; see :func:`apart`.
    """

    def __init__(self, host: nn.SyncBatchNorm, normalises: Channels) -> None:
        super().__init__(host, normalises)
        self.synchronised = True

    def _normalise(self, x_NCHW: Tensor, mean_C: Tensor, variance_C: Tensor, weight_C: Tensor, bias_C: Tensor,
                   factor: float) -> Tensor:
        if not (self.training and self.synchronised) or dist.get_world_size(self.process_group) == 1:
            return super()._normalise(x_NCHW, mean_C, variance_C, weight_C, bias_C, factor)
        out_NCHW, found_mean_C, found_variance_C, num = NormaliseOverRanks.apply(
            x_NCHW, weight_C, bias_C, self.eps, self.process_group)
        mean_C.lerp_(found_mean_C, factor)
        variance_C.lerp_(found_variance_C * (num / (num - 1)), factor)  # unbiased, as torch's
        return out_NCHW


class NormaliseOverRanks(torch.autograd.Function):
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` with mean and variance over the images of all ranks.

    Returns the result, and what is not differentiated: mean and biased variance (C,), number of values a channel.
    The gradient of ``x`` is that of the sum of all ranks' losses; those of weight and bias are this rank's share, which
    DistributedDataParallel adds up.
    """

    @staticmethod
    def forward(ctx: Any, x_NCHW: Tensor, weight_C: Tensor, bias_C: Tensor, eps: float,
                group: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide_NCHW = x_NCHW.to(torch.promote_types(x_NCHW.dtype, torch.float32))
        own_variance_C, own_mean_C = torch.var_mean(wide_NCHW, OVER, correction=0)
        own_num = x_NCHW.numel() // x_NCHW.shape[1]
        # Two sums, and not those of values and squares, whose difference loses what a small variance is made of.
        sums = torch.cat([own_mean_C.double(), own_mean_C.new_ones(1).double()]) * own_num
        dist.all_reduce(sums, group=group)
        num = sums[-1]
        mean_C = sums[:-1] / num
        variance_C = own_num * (own_variance_C.double() + (own_mean_C.double() - mean_C).square())
        dist.all_reduce(variance_C, group=group)
        mean_C, variance_C = mean_C.to(own_mean_C), (variance_C / num).to(own_mean_C)
        num = num.to(own_mean_C)
        per_deviation_C = (variance_C + eps).rsqrt()
        out_NCHW = ((wide_NCHW - _map(mean_C)) * _map(weight_C * per_deviation_C) + _map(bias_C)).to(x_NCHW.dtype)
        ctx.save_for_backward(x_NCHW, weight_C, mean_C, per_deviation_C, num)
        ctx.group = group
        ctx.mark_non_differentiable(mean_C, variance_C, num)
        return out_NCHW, mean_C, variance_C, num

    @staticmethod
    def backward(ctx: Any, gradient_NCHW: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x_NCHW, weight_C, mean_C, per_deviation_C, num = ctx.saved_tensors
        gradient_NCHW = gradient_NCHW.to(mean_C.dtype)
        normal_NCHW = (x_NCHW.to(mean_C.dtype) - _map(mean_C)) * _map(per_deviation_C)
        own = torch.stack([gradient_NCHW.sum(OVER), (gradient_NCHW * normal_NCHW).sum(OVER)])
        sums = own.clone()
        dist.all_reduce(sums, group=ctx.group)
        of_mean_C, of_deviation_C = sums / num
        of_x_NCHW = gradient_NCHW - _map(of_mean_C) - normal_NCHW * _map(of_deviation_C)
        of_x_NCHW = (of_x_NCHW * _map(weight_C * per_deviation_C)).to(x_NCHW.dtype)
        of_bias_C, of_weight_C = own.to(weight_C.dtype)
        return of_x_NCHW, of_weight_C, of_bias_C, None, None


@contextmanager
def apart(norms: Sequence[nn.Module]) -> Iterator[None]:
    """Elastic norms take the statistics of this process alone while the context lasts."""
    changed = [norm for norm in norms if isinstance(norm, ElasticSyncBatchNorm2d) and norm.synchronised]
    for norm in changed:
        norm.synchronised = False
    try:
        yield
    finally:
        for norm in changed:
            norm.synchronised = True


def _map(values_C: Tensor) -> Tensor:
    return values_C[:, None, None]
