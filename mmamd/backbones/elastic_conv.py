"""Convolutions and batch norms that can run with a prefix of their channels.

Layers that write, normalise or read the same channels share one :class:`Channels`. What it says is active, all of them
slice to; so a network keeps the host's forward pass, and only its layers are exchanged.

Shapes: N samples, O output channels (filters), I input channels, C channels, H x W the map.
"""

from math import prod
from typing import ClassVar

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmamd.structures import Cost


class Channels:
    """The channels that some layers have in common; as units, the filters that write them.

    Attributes:
        name: Name of the unit group. It is also its scope: filters are ranked within their layer.
        count: Number of channels.
        min_count: Channels that must stay for the network to be defined.
        active: Number of leading channels the forward pass uses.
        gate: None, or a tensor (N, count) that multiplies each channel for each sample.
        layers: Layers that have these channels.
    """

    kind = 'filter'

    def __init__(self, name: str, count: int, min_count: int) -> None:
        self.name = self.scope = name
        self.count = self.active = count
        self.min_count = min_count
        self.gate: Tensor | None = None
        self.layers: list[ElasticLayer] = []

    def reorder(self, order: list[int]) -> None:
        """Permute the channels in all layers: channel ``order[i]`` becomes channel ``i``."""
        for layer in self.layers:
            layer.reorder(self, order)

    def kept(self, kept: dict[str, int]) -> int:
        """How many of them ``kept`` keeps: all, if it does not speak of them."""
        return kept.get(self.name, self.count)


class ElasticLayer:
    """A layer whose tensors run with the leading part of some dimensions.

    Mixed into the host's own type of layer, whose weights and settings it adopts: what looks for that type (weight
    initialisation, weight decay of norms) finds it.

    Attributes:
        DIMS: Name of a tensor -> names of the attributes that hold the channels of its leading dimensions.
    """

    DIMS: ClassVar[dict[str, tuple[str, ...]]]

    def __init__(self, host: nn.Module) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(host.__dict__)

    def channels(self) -> set[Channels]:
        """All channels that the layer has a part in."""
        return {channels for name in self.DIMS for channels in self._channels_of(name)}

    def sliced(self, name: str) -> Tensor | None:
        """The part of a tensor that is active; None if the layer has no such tensor."""
        tensor, channels = getattr(self, name), self._channels_of(name)
        if tensor is None or all(c.active == c.count for c in channels):
            return tensor
        return tensor[tuple(slice(c.active) for c in channels)]

    @torch.no_grad()
    def reorder(self, channels: Channels, order: list[int]) -> None:
        """Permute some channels: ``order[i]`` becomes ``i``."""
        for name in self.DIMS:
            tensor = getattr(self, name)
            for dim, its in enumerate(self._channels_of(name)):
                if its is channels and tensor is not None:
                    tensor.copy_(tensor.index_select(dim, torch.tensor(order, device=tensor.device)))

    def cut(self) -> None:
        """Hold nothing but the active part from now on."""
        for name in self.DIMS:
            tensor, part = getattr(self, name), self.sliced(name)
            if part is tensor:
                continue
            part = part.detach().clone()
            if isinstance(tensor, nn.Parameter):
                part = nn.Parameter(part, requires_grad=tensor.requires_grad)
            setattr(self, name, part)

    def cost(self, kept: dict[str, int], map_size: int) -> Cost:
        """Cost for one sample with an output map of ``map_size`` positions, cut to ``kept``."""
        return Cost(0, sum(self.size(name, kept) for name in self.DIMS
                           if isinstance(getattr(self, name), nn.Parameter)))

    def size(self, name: str, kept: dict[str, int]) -> int:
        """Number of elements of a tensor cut to ``kept``."""
        channels = self._channels_of(name)
        return prod(c.kept(kept) for c in channels) * prod(getattr(self, name).shape[len(channels):])

    def _channels_of(self, name: str) -> list[Channels]:
        return [getattr(self, attribute) for attribute in self.DIMS[name]]


class ElasticConv2d(ElasticLayer, nn.Conv2d):
    """Convolution over the leading channels of what it reads, by the leading filters of what it writes.

    At width zero on either side its output is computed by hand, for no kernel does it, and keeps weight and input in
    the graph: every parameter receives a gradient in every candidate.

    Args:
        host: The convolution whose weights and settings are adopted; of one group.
        reads: Channels of its input.
        writes: Channels of its output.
    """

    DIMS = {'weight': ('writes', 'reads'), 'bias': ('writes',)}

    def __init__(self, host: nn.Conv2d, reads: Channels, writes: Channels) -> None:
        super().__init__(host)
        self.reads = reads
        self.writes = writes

    def forward(self, x_NIHW: Tensor) -> Tensor:
        weight, bias = self.sliced('weight'), self.sliced('bias')
        if self.reads.active and self.writes.active:
            return self._conv_forward(x_NIHW, weight, bias)
        size = ((side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for side, pad, dilation, kernel, stride in
                zip(x_NIHW.shape[2:], self.padding, self.dilation, self.kernel_size, self.stride, strict=True))
        nothing = weight.sum() + x_NIHW[:, :0].sum()  # empty sums, of value 0
        out_NOHW = x_NIHW.new_zeros(len(x_NIHW), self.writes.active, *size) + nothing
        return out_NOHW if bias is None else out_NOHW + bias[:, None, None]

    def cut(self) -> None:
        super().cut()
        self.out_channels, self.in_channels = self.weight.shape[:2]

    def cost(self, kept: dict[str, int], map_size: int) -> Cost:
        return super().cost(kept, map_size) + Cost(map_size * self.size('weight', kept), 0)


class ElasticDepthwiseConv2d(ElasticConv2d, nn.Conv2d):  # the host's initialisation asks the bases for their names
    """Convolution of each of the leading channels by a kernel of its own, which goes with its channel.

    Args:
        host: The convolution whose weights and settings are adopted; of as many groups as channels.
        channels: Channels of its input and output.
    """

    DIMS = {'weight': ('writes',), 'bias': ('writes',)}

    def __init__(self, host: nn.Conv2d, channels: Channels) -> None:
        super().__init__(host, channels, channels)

    def _conv_forward(self, x_NCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x_NCHW, weight, bias, self.stride, self.padding, self.dilation, groups=len(weight))

    def cut(self) -> None:
        super().cut()
        self.in_channels = self.groups = self.out_channels


class ElasticBatchNorm2d(ElasticLayer, _BatchNorm):
    """Batch norm of the leading channels.

    Candidates share the running statistics as they share the weights, although their activations differ: the
    statistics are those of the candidate that was last trained or recalibrated.

    The gate of the channels acts on the output. Nobody reads channels of an elastic network but through a norm of
    theirs or a sum of such, so at gate 0 a channel has no part in the function.

    Args:
        host: The norm whose weights, statistics and settings are adopted.
        normalises: Channels of its input and output.

    Attributes:
        is_gated: Whether the gate acts here; not where a depthwise convolution leads to another norm of the channels.
    """

    DIMS = {name: ('normalises',) for name in ('weight', 'bias', 'running_mean', 'running_var')}

    def __init__(self, host: nn.BatchNorm2d, normalises: Channels) -> None:
        super().__init__(host)
        self.normalises = normalises
        self.is_gated = True

    def forward(self, x_NCHW: Tensor) -> Tensor:
        weight, bias, mean, variance = (self.sliced(name) for name in self.DIMS)
        updates = self.training and mean is not None
        factor = self.momentum
        if updates:
            self.num_batches_tracked.add_(1)
            if factor is None:  # a cumulative average, as in the host
                factor = 1. / float(self.num_batches_tracked)
        if self.normalises.active:
            out_NCHW = self._normalise(x_NCHW, mean, variance, weight, bias, factor or 0.)
        else:  # nothing, which keeps the affine parameters in the graph
            out_NCHW = x_NCHW if weight is None else x_NCHW * weight[:, None, None] + bias[:, None, None]
        if self.is_gated and self.normalises.gate is not None:
            out_NCHW = out_NCHW * self.normalises.gate[:, :self.normalises.active, None, None]
        return out_NCHW

    def _normalise(self, x_NCHW: Tensor, mean_C: Tensor | None, variance_C: Tensor | None, weight_C: Tensor,
                   bias_C: Tensor, factor: float) -> Tensor:
        return F.batch_norm(x_NCHW, mean_C, variance_C, weight_C, bias_C, self.training or mean_C is None, factor,
                            self.eps)

    def cut(self) -> None:
        super().cut()
        self.num_features = self.normalises.active


# --- what is left of a residual branch without filters ---

class ElasticConstant(ElasticLayer, nn.Module):
    """The same value for each channel at every position.

    Args:
        bias: The values, shape (C,), of the channels that are active.
        writes: Channels of its output, which have been cut to these.
    """

    DIMS = {'bias': ('writes',)}

    def __init__(self, bias: Tensor, writes: Channels) -> None:
        nn.Module.__init__(self)
        self.bias = nn.Parameter(bias.detach().clone())
        self.writes = writes

    def forward(self, x_N1HW: Tensor) -> Tensor:
        return x_N1HW + self.sliced('bias')[:, None, None]


class ZeroMap(nn.Module):
    """A map of zeros of one channel, as large as convolutions of a total ``stride`` that keep the size would leave."""

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return torch.zeros_like(x_NCHW[:, :1, ::self.stride[0], ::self.stride[1]])
