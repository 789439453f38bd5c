"""SegFormer's attention, over a map of fewer keys and values, that can run with a prefix of its heads.

Shapes: N samples, L tokens, R tokens of the reduced map, C embedding width, H heads, D width of a head.
"""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.backbones.attention import attend
from mmamd.backbones.elastic_layers import (
    ElasticBranch,
    MapBiasBranch,
    cut_heads,
    leading_columns,
    leading_heads,
    num_params,
    reorder_heads,
)
from mmamd.structures import Cost


class Projection(NamedTuple):
    """Queries, keys and values as one linear layer; torch's MultiheadAttention holds its tensors alone."""

    weight: Tensor
    bias: Tensor


class ElasticReducedAttention(ElasticBranch):
    """Multi-head attention of all tokens to a spatially reduced map, over the first ``active`` heads.

    The reduction and its norm are of all heads; they go with the last one. The softmax scale is that of the head's own
    width, which whole-head pruning leaves unchanged.

    Args:
        host: MMSegmentation's EfficientMultiheadAttention, whose sub-modules are adopted.
        scope: Scope of the ranking.

    Raises:
        ValueError: If the attention has no biases.
    """

    kind = 'head'

    def __init__(self, host: nn.Module, scope: str = 'all') -> None:
        if host.attn.in_proj_bias is None:
            raise ValueError(f'{scope}: attention without biases is not supported; set qkv_bias=True')
        super().__init__(host.attn.num_heads, scope)
        self.attn = host.attn  # holds the weights under the host's names; its forward is not used
        self.proj_drop = host.proj_drop
        self.dropout_layer = host.dropout_layer
        self.sr_ratio = host.sr_ratio
        if self.sr_ratio > 1:
            self.sr = host.sr
            self.norm = host.norm

    @property
    def qkv(self) -> Projection:
        return Projection(self.attn.in_proj_weight, self.attn.in_proj_bias)

    @property
    def last(self) -> nn.Linear:
        return self.attn.out_proj

    @property
    def last_scale(self) -> nn.Module:
        return nn.Identity()

    def forward(self, x_NLC: Tensor, map_size: tuple[int, int], identity: Tensor) -> Tensor:
        return identity + self.outer(self.inner(x_NLC, map_size))

    def inner(self, x_NLC: Tensor, map_size: tuple[int, int]) -> Tensor:
        H, D = self.active, self.last.in_features // self.count
        weight, bias = leading_heads(self.qkv, self.count, H)
        q_NHLD = self._heads(F.linear(x_NLC, weight[:H * D], bias[:H * D]), 1)[0]
        reduced_NRC = self._reduced(x_NLC, map_size)
        k_NHRD, v_NHRD = self._heads(F.linear(reduced_NRC, weight[H * D:], bias[H * D:]), 2)
        if H:
            dropout = self.attn.dropout if self.training else 0.
            context_NHLD = attend(q_NHLD, k_NHRD, v_NHRD, scale=D ** -0.5, dropout=dropout)
        else:
            # Attention must not be given zero heads; the empty products keep queries, keys and values in the graph.
            context_NHLD = q_NHLD @ k_NHRD.transpose(2, 3) @ v_NHRD
        if self.gate is not None:
            context_NHLD = context_NHLD * self.gate[:, :H, None, None]
        return context_NHLD.transpose(1, 2).flatten(2)

    def _heads(self, joined: Tensor, parts: int) -> Tensor:
        """(N, tokens, parts H D) -> (parts, N, H, tokens, D)."""
        N, num_tokens, _ = joined.shape
        D = self.last.in_features // self.count
        return joined.reshape(N, num_tokens, parts, self.active, D).permute(2, 0, 3, 1, 4)

    def _reduced(self, x_NLC: Tensor, map_size: tuple[int, int]) -> Tensor:
        if self.sr_ratio == 1:
            return x_NLC
        N, _, C = x_NLC.shape
        reduced_NChw = self.sr(x_NLC.transpose(1, 2).reshape(N, C, *map_size))
        return self.norm(reduced_NChw.flatten(2).transpose(1, 2))

    def outer(self, inner_NLK: Tensor) -> Tensor:
        weight_CK = leading_columns(self.last.weight, inner_NLK.shape[-1])
        return self.dropout_layer(self.proj_drop(F.linear(inner_NLK, weight_CK, self.last.bias)))

    def reorder(self, order: list[int]) -> None:
        reorder_heads(self.qkv, self.last, order)

    @torch.no_grad()
    def cut(self, kept: int) -> BaseModule:
        attn = self.attn
        if kept == 0:
            return MapBiasBranch(self.last.bias, self.proj_drop, nn.Identity(), self.dropout_layer)
        qkv, attn.out_proj = cut_heads(self.qkv, self.last, self.count, kept)
        attn.in_proj_weight, attn.in_proj_bias = qkv.weight, qkv.bias
        attn.num_heads = self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int, map_size: tuple[int, int]) -> Cost:
        C, D = self.last.out_features, self.last.in_features // self.count
        num_reduced = (map_size[0] // self.sr_ratio) * (map_size[1] // self.sr_ratio)
        macs = 2 * (num_tokens + num_reduced) * C * D + 2 * num_tokens * num_reduced * D
        total = Cost(kept * macs, kept * (4 * C * D + 3 * D) + C)
        if kept and self.sr_ratio > 1:
            total += Cost(num_reduced * self.sr.weight.numel(), num_params(self.sr) + num_params(self.norm))
        return total
