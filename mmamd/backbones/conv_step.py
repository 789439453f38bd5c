"""A convolution and its norm as a step of a refit.

Shapes: N samples, C output channels, I input channels, h x w the kernel, M equations, K = I h w inputs.
"""

from collections.abc import Callable, Sequence

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmamd.backbones.elastic_conv import ElasticBatchNorm2d, ElasticConv2d
from mmamd.backbones.recalibration import renewed_over_processes
from mmamd.pruning.dense_read_out import some_positions
from mmamd.pruning.least_squares import Equations, Solution
from mmamd.pruning.refit import RefitStep, Step


class ConvStep(RefitStep):
    """The last convolution of a branch: ``norm(conv(read(x))) + shortcut(x)``, then what leads to the next step.

    The norms before it find their statistics on the pruned network's own stream; its own norm then is set so that it
    changes nothing at these images, and carries the bias.

    Args:
        name: Of the part of the network that it is.
        conv: The convolution; its active part is solved.
        norm: The norm behind it; None where there is none, and then there is no bias.
        read: From the stream to the map that the convolution reads.
        shortcut: From the stream to what is added; None where nothing is.
        behind: From the sum to the next stream; it may not change the sum in place.
        norms: Norms that ``read`` and ``shortcut`` run.
    """

    def __init__(self, name: str, conv: ElasticConv2d, norm: ElasticBatchNorm2d | None, *,
                 read: Callable[[Tensor], Tensor], shortcut: Callable[[Tensor], Tensor] | None = None,
                 behind: Callable[[Tensor], Tensor], norms: Sequence[nn.Module] = ()) -> None:
        super().__init__(name)
        self._conv, self._norm = conv, norm
        self._read, self._shortcut, self._behind = read, shortcut, behind
        self._norms = list(norms)
        self.has_bias = norm is not None
        self.has_statistics = bool(norms)

    def prepare(self, stream: Sequence[Tensor]) -> None:
        with renewed_over_processes(self._norms):
            for x in stream:
                self._read(x)
                self._added(x)

    def enter(self, x: Tensor) -> Tensor:
        return self._read(x)

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        out_NCHW = self._conv(inner)
        out_NCHW = out_NCHW if self._norm is None else self._norm(out_NCHW)
        return out_NCHW + self._added(x)

    def leave(self, total: Tensor, x: Tensor) -> Tensor:
        return self._behind(total)

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        wanted_NCP = (target[:, :self._conv.writes.active] - self._added(x)).flatten(2)
        chosen = some_positions(wanted_NCP.shape[2], inner.device)
        h_MK = inner.new_zeros(len(inner) * len(chosen), 0)
        if self._conv.reads.active:  # no kernel unfolds a map without channels
            conv = self._conv
            h_NKP = F.unfold(inner, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
            h_MK = h_NKP[:, :, chosen].transpose(1, 2).flatten(0, 1)
        return h_MK, wanted_NCP[:, :, chosen].transpose(1, 2).flatten(0, 1)

    @property
    def weight_KC(self) -> Tensor:
        weight_CK = self._conv.sliced('weight').flatten(1)
        if self._norm is None:
            return weight_CK.T
        scale_C, variance_C = self._norm.sliced('weight'), self._norm.sliced('running_var')
        return weight_CK.T * (scale_C / (variance_C + self._norm.eps).sqrt())

    def assign(self, found: Solution, equations: Equations) -> None:
        conv, norm = self._conv, self._norm
        weight = conv.sliced('weight')
        weight.copy_(found.weight_KC.T.reshape(weight.shape))
        if norm is None:
            return
        if conv.bias is not None:
            conv.sliced('bias').zero_()  # the norm's bias does its work
        mean_K = equations.h_K / equations.num
        covariance_KK = equations.hh_KK / equations.num - mean_K.outer(mean_K)
        mean_C = mean_K @ found.weight_KC
        variance_C = (found.weight_KC * (covariance_KK @ found.weight_KC)).sum(0).clamp(min=0)
        for name, value in (('running_mean', mean_C), ('running_var', variance_C),
                            ('weight', (variance_C + norm.eps).sqrt()), ('bias', found.bias_C + mean_C)):
            norm.sliced(name).copy_(value)

    def _added(self, x: Tensor) -> Tensor | float:
        return 0. if self._shortcut is None else self._shortcut(x)


class NormStep(Step):
    """A fixed step that has norms, which find their statistics on the pruned network's own stream."""

    has_statistics = True

    def __init__(self, name: str, module: Callable[[Tensor], Tensor], norms: Sequence[nn.Module]) -> None:
        super().__init__(name, module)
        self._norms = list(norms)

    def prepare(self, stream: Sequence[Tensor]) -> None:
        with renewed_over_processes(self._norms):
            for x in stream:
                self._module(x)
