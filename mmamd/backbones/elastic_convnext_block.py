"""ConvNeXt's block, which can run with a prefix of the hidden neurons between its two pointwise layers.

Shapes: N samples, C channels, F hidden neurons, K of them active, H x W the map.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticBranch, leading_columns, linear_of, num_params
from mmamd.backbones.scaled_step import ScaledStep
from mmamd.structures import Cost


class ElasticConvNeXtBlock(ElasticBranch):
    """A depthwise convolution, a norm, and two linear layers over the first ``active`` hidden neurons.

    Args:
        host: MMPretrain's ConvNeXtBlock, whose sub-modules are adopted.
        name: Of the block, for messages.
        scope: Scope of the ranking.

    Raises:
        ValueError: If the block relates its neurons to each other, as ConvNeXt V2 does, or is of another form.
    """

    kind = 'neuron'

    def __init__(self, host: nn.Module, name: str, scope: str) -> None:
        for option, is_so in (('use_grn=False', host.grn is None), ('linear_pw_conv=True', host.linear_pw_conv),
                              ('with_cp=False', not host.with_cp)):
            if not is_so:
                raise ValueError(f'{name} cannot be pruned by neurons: expected a block of ConvNeXt V1 with linear '
                                 f'layers, none of whose activations are checkpointed; set {option}')
        super().__init__(host.pointwise_conv1.out_features, scope)
        self.gamma = host.gamma
        self.depthwise_conv = host.depthwise_conv
        self.norm = host.norm
        self.pointwise_conv1 = host.pointwise_conv1
        self.act = host.act
        self.pointwise_conv2 = host.pointwise_conv2
        self.drop_path = host.drop_path

    @property
    def last(self) -> nn.Linear:
        return self.pointwise_conv2

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.outer(self.inner(x_NCHW))

    def inner(self, x_NCHW: Tensor) -> Tensor:
        """What the last linear layer reads, (N, H, W, K)."""
        w1_FC, b1_F = self.pointwise_conv1.weight, self.pointwise_conv1.bias
        if self.count > self.active:
            w1_FC, b1_F = w1_FC[:self.active], b1_F[:self.active]
        x_NHWC = self.norm(self.depthwise_conv(x_NCHW).permute(0, 2, 3, 1), data_format='channel_last')
        hidden_NHWF = self.act(F.linear(x_NHWC, w1_FC, b1_F))
        return hidden_NHWF if self.gate is None else hidden_NHWF * self.gate[:, None, None, :self.active]

    def outer(self, inner_NHWK: Tensor) -> Tensor:
        weight_CK = leading_columns(self.last.weight, inner_NHWK.shape[-1])
        out_NCHW = F.linear(inner_NHWK, weight_CK, self.last.bias).permute(0, 3, 1, 2)
        return self.drop_path(out_NCHW if self.gamma is None else out_NCHW * self.gamma[:, None, None])

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        first, last = self.pointwise_conv1, self.pointwise_conv2
        first.weight.copy_(first.weight[order])
        first.bias.copy_(first.bias[order])
        last.weight.copy_(last.weight[:, order])

    def cut(self, kept: int) -> BaseModule:
        first, last = self.pointwise_conv1, self.pointwise_conv2
        if kept == 0:
            return ConvNeXtBias(last.bias, self.gamma, self.drop_path)
        self.pointwise_conv1 = linear_of(first.weight[:kept], first.bias[:kept])
        self.pointwise_conv2 = linear_of(last.weight[:, :kept], last.bias)
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int) -> Cost:
        C = self.last.out_features
        scale = 0 if self.gamma is None else C
        if kept == 0:
            return Cost(0, C + scale)
        kernels = self.depthwise_conv.weight.numel()
        fixed = num_params(self.depthwise_conv) + num_params(self.norm) + C + scale
        return Cost(num_tokens * (kernels + 2 * kept * C), fixed + kept * (2 * C + 1))


class ConvNeXtBias(BaseModule):
    """What is left of a block without neurons: its output bias, added at every position.

    Args:
        bias: Of its last linear layer, shape (C,).
        gamma: Its scale, shape (C,); None where it has none.
        drop_path: Its stochastic depth.
    """

    def __init__(self, bias: Tensor, gamma: Tensor | None, drop_path: nn.Module) -> None:
        super().__init__()
        self.gamma = gamma
        self.bias = nn.Parameter(bias.detach().clone())
        self.drop_path = drop_path

    def forward(self, x_NCHW: Tensor) -> Tensor:
        bias_C = self.bias if self.gamma is None else self.bias * self.gamma
        return x_NCHW + self.drop_path(bias_C[:, None, None].expand_as(x_NCHW))


class ConvNeXtStep(ScaledStep):
    """A block as a step of a refit."""

    def __init__(self, name: str, block: ElasticConvNeXtBlock) -> None:
        gamma_C = torch.ones_like(block.last.bias) if block.gamma is None else block.gamma
        super().__init__(name, block.last, block.active, gamma_C.detach())
        self._block = block

    def enter(self, x: Tensor) -> Tensor:
        return self._block.inner(x)

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        return x + self._block.outer(inner)
