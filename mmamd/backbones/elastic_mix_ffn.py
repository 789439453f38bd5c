"""SegFormer's feed-forward network, with a convolution of each neuron's map, that can run with a prefix of its neurons.

Shapes: N samples, L tokens, C embedding width, F hidden neurons, h x w the map.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticBranch, MapBiasBranch, leading_columns
from mmamd.structures import Cost


class Pointwise:
    """A 1 x 1 convolution as the linear layer that it is; its tensors are the convolution's own.

    Args:
        conv: The convolution.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self._conv = conv
        self.in_features, self.out_features = conv.in_channels, conv.out_channels

    @property
    def weight(self) -> Tensor:
        return self._conv.weight.flatten(1)

    @property
    def bias(self) -> Tensor:
        return self._conv.bias


class ElasticMixFFN(ElasticBranch):
    """Two linear layers, and a depthwise convolution between them, over the first ``active`` hidden neurons.

    A neuron takes its kernel of the convolution along, when it is moved and when it is cut.

    Args:
        host: MMSegmentation's MixFFN, whose sub-modules are adopted.
        scope: Scope of the ranking.
    """

    kind = 'neuron'

    def __init__(self, host: nn.Module, scope: str = 'all') -> None:
        super().__init__(host.feedforward_channels, scope)
        self.layers = host.layers  # 1 x 1, depthwise, activation, dropout, 1 x 1, dropout
        self.dropout_layer = host.dropout_layer

    @property
    def last(self) -> Pointwise:
        return Pointwise(self.layers[4])

    @property
    def last_scale(self) -> nn.Module:
        return nn.Identity()

    def forward(self, x_NLC: Tensor, map_size: tuple[int, int], identity: Tensor) -> Tensor:
        return identity + self.outer(self.inner(x_NLC, map_size))

    def inner(self, x_NLC: Tensor, map_size: tuple[int, int]) -> Tensor:
        N, num = x_NLC.shape[0], self.active
        pointwise, depthwise, act, drop, *_ = self.layers
        hidden_NLF = F.linear(x_NLC, _leading(pointwise.weight, num).flatten(1), _leading(pointwise.bias, num))
        kernel_F1hw, bias_F = _leading(depthwise.weight, num), _leading(depthwise.bias, num)
        if num:
            hidden_NFhw = hidden_NLF.transpose(1, 2).reshape(N, num, *map_size)
            hidden_NFhw = F.conv2d(hidden_NFhw, kernel_F1hw, bias_F, padding=depthwise.padding, groups=num)
            hidden_NLF = hidden_NFhw.flatten(2).transpose(1, 2)
        else:  # no kernel does it; the empty product keeps its weights in the graph
            hidden_NLF = hidden_NLF * kernel_F1hw.flatten() + bias_F
        hidden_NLF = drop(act(hidden_NLF))
        return hidden_NLF if self.gate is None else hidden_NLF * self.gate[:, None, :num]

    def outer(self, inner_NLK: Tensor) -> Tensor:
        weight_CK = leading_columns(self.last.weight, inner_NLK.shape[-1])
        return self.dropout_layer(self.layers[5](F.linear(inner_NLK, weight_CK, self.last.bias)))

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        pointwise, depthwise, *_ = self.layers
        for tensor in (pointwise.weight, pointwise.bias, depthwise.weight, depthwise.bias):
            tensor.copy_(tensor[order])
        self.last.weight.copy_(self.last.weight[:, order])

    def cut(self, kept: int) -> BaseModule:
        pointwise, depthwise, *_, last, drop = self.layers
        if kept == 0:
            return MapBiasBranch(last.bias, drop, nn.Identity(), self.dropout_layer)
        self.layers[0] = _conv_of(pointwise.weight[:kept], pointwise.bias[:kept])
        self.layers[1] = _conv_of(depthwise.weight[:kept], depthwise.bias[:kept], groups=kept)
        self.layers[4] = _conv_of(last.weight[:, :kept], last.bias)
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int, map_size: tuple[int, int]) -> Cost:
        C, kernel = self.last.out_features, self.layers[1].weight[0].numel()
        return Cost(kept * num_tokens * (2 * C + kernel), kept * (2 * C + 1 + kernel + 1) + C)


def _leading(tensor: Tensor, count: int) -> Tensor:
    return tensor if count == len(tensor) else tensor[:count]


@torch.no_grad()
def _conv_of(weight_OIhw: Tensor, bias_O: Tensor, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of its map and holds copies of the given weights."""
    O, I, *size = weight_OIhw.shape  # noqa: E741
    conv = nn.Conv2d(I * groups, O, size, padding=[side // 2 for side in size], groups=groups).to(weight_OIhw)
    conv.weight.copy_(weight_OIhw)
    conv.bias.copy_(bias_O)
    return conv
