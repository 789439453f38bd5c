"""SwiGLU, a feed-forward network whose hidden neurons are gated, that can run with a prefix of them.

Shapes: N samples, L tokens, C embedding width, F hidden neurons, K of them active.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.backbones.elastic_layers import BiasBranch, ElasticBranch, leading_columns, linear_of, num_params
from mmamd.structures import Cost


class ElasticSwiGLU(ElasticBranch):
    """``w3 (silu(a) * v)`` over the first ``active`` hidden neurons, where ``w12`` has made a and v of the input.

    A neuron is two rows of ``w12``, that of its a and that of its v, F rows further down, and a column of ``w3``.

    Args:
        host: MMPretrain's SwiGLUFFN or SwiGLUFFNFused, whose sub-modules are adopted.
        scope: Scope of the ranking.

    Raises:
        ValueError: If it has a norm, which relates its neurons to each other, no biases, or another width than its
            input's.
    """

    kind = 'neuron'

    def __init__(self, host: nn.Module, scope: str = 'all') -> None:
        for option, is_so in (('norm_cfg=None', isinstance(host.norm, nn.Identity)),
                              ('bias=True', host.w3.bias is not None),
                              ('out_dims=embed_dims', host.out_dims == host.embed_dims),
                              ('add_identity=True', host.add_identity)):
            if not is_so:
                raise ValueError(f'{type(host).__name__} cannot be pruned by neurons: expected biases, no norm of its '
                                 f'hidden neurons, and a sum with what it reads; set {option}')
        super().__init__(host.w3.in_features, scope)
        self.w12 = host.w12
        self.w3 = host.w3
        self.gamma2 = host.gamma2
        self.dropout_layer = host.dropout_layer

    @property
    def last(self) -> nn.Linear:
        return self.w3

    @property
    def last_scale(self) -> nn.Module:
        return self.gamma2

    def forward(self, x_NLC: Tensor, identity: Tensor) -> Tensor:
        return identity + self.outer(self.inner(x_NLC))

    def inner(self, x_NLC: Tensor) -> Tensor:
        a_NLK, v_NLK = F.linear(x_NLC, *_leading_pairs(self.w12, self.active)).tensor_split(2, dim=-1)
        hidden_NLK = F.silu(a_NLK) * v_NLK
        return hidden_NLK if self.gate is None else hidden_NLK * self.gate[:, None, :self.active]

    def outer(self, inner_NLK: Tensor) -> Tensor:
        weight_CK = leading_columns(self.w3.weight, inner_NLK.shape[-1])
        return self.dropout_layer(self.gamma2(F.linear(inner_NLK, weight_CK, self.w3.bias)))

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        for tensor in (self.w12.weight, self.w12.bias):
            tensor.copy_(tensor.unflatten(0, (2, self.count))[:, order].flatten(0, 1))
        self.w3.weight.copy_(self.w3.weight[:, order])

    def cut(self, kept: int) -> BaseModule:
        if kept == 0:
            return BiasBranch(self.w3.bias, nn.Identity(), self.gamma2, self.dropout_layer)
        self.w12 = linear_of(*_leading_pairs(self.w12, kept))
        self.w3 = linear_of(self.w3.weight[:, :kept], self.w3.bias)
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int) -> Cost:
        C = self.w3.out_features
        return Cost(kept * num_tokens * 3 * C, kept * (3 * C + 2) + C + num_params(self.gamma2))


def host_channels(kept: int, name: str) -> int:
    """``feedforward_channels`` of a SwiGLUFFNFused of ``kept`` neurons, which takes two thirds, in eights.

    Args:
        kept: Number of hidden neurons.
        name: Of whose they are, for the message.

    Raises:
        ValueError: If it cannot have as many.
    """
    if kept == 0 or kept % 8:
        raise ValueError(f'{name} has {kept} neurons, and a SwiGLUFFNFused has a multiple of 8, and at least 8; set '
                         'compression.round_to=8')
    return kept // 2 * 3


def _leading_pairs(w12: nn.Linear, kept: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of the first ``kept`` neurons, laid out as those of all."""
    count = w12.out_features // 2
    if kept == count:
        return w12.weight, w12.bias
    return tuple(tensor.unflatten(0, (2, count))[:, :kept].flatten(0, 1) for tensor in (w12.weight, w12.bias))
