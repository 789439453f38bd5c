"""Attention and feed-forward branches that can run with a prefix of their units.

They adopt the host's sub-modules under the host's names, so that state-dict keys and shapes are the host's.

Shapes: N samples, L tokens, C embedding width, H heads, D width of a head, F hidden neurons.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.backbones.attention import attend
from mmamd.structures import Cost


class ElasticBranch(BaseModule):
    """A residual branch made of ``count`` equal units of which the first ``active`` run.

    A branch at width zero is computed, not skipped: its norm, its matrices of width zero and its bias stay in the
    graph, so that every parameter receives a gradient (zero, where it had no part) in every candidate and
    DistributedDataParallel never waits for one.

    Attributes:
        kind: Kind of the units.
        count: Number of units the branch has.
        scope: Units of one kind are ranked against each other within a scope; ``'all'`` is the whole network.
        active: Number of leading units the forward pass uses.
        gate: None, or a tensor (N, count) that multiplies each unit's contribution for each sample.
    """

    kind: str
    min_count = 0  # the shortcut remains

    def __init__(self, count: int, scope: str = 'all') -> None:
        super().__init__()
        self.count = count
        self.scope = scope
        self.active = count
        self.gate: Tensor | None = None

    @property
    def last(self) -> nn.Linear:
        """Its last linear layer, with all units."""
        raise NotImplementedError

    @property
    def last_scale(self) -> nn.Module:
        """What scales the outputs of the last linear layer, channel by channel; an identity where nothing does."""
        raise NotImplementedError

    def inner(self, x_NLC: Tensor, *place) -> Tensor:
        """What the last linear layer reads of the active units, shape (N, L, K), tokens in their order in ``x``.

        Args:
            x_NLC: What the branch reads.
            place: Further arguments of its forward pass.
        """
        raise NotImplementedError

    def outer(self, inner_NLK: Tensor) -> Tensor:
        """What the branch adds to the stream, from what :meth:`inner` has given."""
        raise NotImplementedError

    def reorder(self, order: list[int]) -> None:
        """Permute the units in place: unit ``order[i]`` becomes unit ``i``. The function is unchanged."""
        raise NotImplementedError

    def cut(self, kept: int) -> BaseModule:
        """The branch that has only the first ``kept`` units, with their weights; at zero, its bias alone."""
        raise NotImplementedError

    def cost(self, kept: int, num_tokens: int, *place) -> Cost:
        """MACs for one sample of ``num_tokens`` tokens, and parameters, of ``cut(kept)``; ``place`` as in inner."""
        raise NotImplementedError


class ElasticAttention(ElasticBranch):
    """Multi-head self-attention over the first ``active`` heads.

    The softmax scale is that of the head's own width D, which whole-head pruning leaves unchanged.

    Args:
        host: MMPretrain's MultiheadAttention, whose sub-modules are adopted.
    """

    kind = 'head'

    def __init__(self, host: nn.Module) -> None:
        super().__init__(host.num_heads)
        if host.v_shortcut or host.input_dims != host.embed_dims:
            raise ValueError('attention with a value shortcut or a width of its own cannot be pruned by heads; '
                             'use an architecture whose attention keeps the embedding width')
        self.head_dims = host.head_dims
        self.attn_drop = host.attn_drop
        self.qkv = host.qkv
        self.proj = host.proj
        self.proj_drop = host.proj_drop
        self.out_drop = host.out_drop
        self.gamma1 = host.gamma1

    @property
    def last(self) -> nn.Linear:
        return self.proj

    @property
    def last_scale(self) -> nn.Module:
        return self.gamma1

    def forward(self, x_NLC: Tensor) -> Tensor:
        return self.outer(self.inner(x_NLC))

    def inner(self, x_NLC: Tensor) -> Tensor:
        N, L, C = x_NLC.shape
        H, D = self.active, self.head_dims
        qkv_weight, qkv_bias = leading_heads(self.qkv, self.count, H)
        q_NHLD, k_NHLD, v_NHLD = F.linear(x_NLC, qkv_weight, qkv_bias).reshape(N, L, 3, H, D).permute(2, 0, 3, 1, 4)
        if H:
            dropout = self.attn_drop if self.training else 0.
            context_NHLD = attend(q_NHLD, k_NHLD, v_NHLD, scale=D ** -0.5, dropout=dropout)
        else:
            # torch 2.11 on CPU kills the process when attention gets zero heads; the empty value keeps the graph.
            context_NHLD = v_NHLD
        if self.gate is not None:
            context_NHLD = context_NHLD * self.gate[:, :H, None, None]
        return context_NHLD.transpose(1, 2).reshape(N, L, H * D)

    def outer(self, inner_NLK: Tensor) -> Tensor:
        weight_CK = leading_columns(self.proj.weight, inner_NLK.shape[-1])
        return self.out_drop(self.gamma1(self.proj_drop(F.linear(inner_NLK, weight_CK, self.proj.bias))))

    def reorder(self, order: list[int]) -> None:
        reorder_heads(self.qkv, self.proj, order)

    def cut(self, kept: int) -> BaseModule:
        if kept == 0:
            return BiasBranch(self.proj.bias, self.proj_drop, self.gamma1, self.out_drop)
        self.qkv, self.proj = cut_heads(self.qkv, self.proj, self.count, kept)
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int) -> Cost:
        total = cost_of_heads(self.qkv, self.proj, self.count, kept, num_tokens, attended=num_tokens)
        return total + Cost(0, num_params(self.gamma1))


class ElasticFFN(ElasticBranch):
    """Two-layer feed-forward network over the first ``active`` hidden neurons.

    Args:
        host: MMCV's FFN, whose sub-modules are adopted.
        scope: Scope of the ranking.
    """

    kind = 'neuron'

    def __init__(self, host: nn.Module, scope: str = 'all') -> None:
        if getattr(host, 'num_fcs', None) != 2:
            raise ValueError(f'{type(host).__name__} cannot be pruned by neurons; expected a feed-forward network of '
                             f"two linear layers: set ffn_type='origin' and num_fcs=2")
        super().__init__(host.feedforward_channels, scope)
        self.layers = host.layers
        self.gamma2 = host.gamma2
        self.dropout_layer = host.dropout_layer

    @property
    def last(self) -> nn.Linear:
        return self.layers[1]

    @property
    def last_scale(self) -> nn.Module:
        return self.gamma2

    def forward(self, x_NLC: Tensor, identity: Tensor) -> Tensor:
        return identity + self.outer(self.inner(x_NLC))

    def inner(self, x_NLC: Tensor) -> Tensor:
        fc1, act, drop = self.layers[0]
        w1_FC, b1_F = fc1.weight, fc1.bias
        if self.count > self.active:
            w1_FC, b1_F = w1_FC[:self.active], b1_F[:self.active]
        hidden_NLF = drop(act(F.linear(x_NLC, w1_FC, b1_F)))
        return hidden_NLF if self.gate is None else hidden_NLF * self.gate[:, None, :self.active]

    def outer(self, inner_NLK: Tensor) -> Tensor:
        _, fc2, out_drop = self.layers
        weight_CK = leading_columns(fc2.weight, inner_NLK.shape[-1])
        return self.dropout_layer(self.gamma2(out_drop(F.linear(inner_NLK, weight_CK, fc2.bias))))

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        fc1, fc2 = self.layers[0][0], self.layers[1]
        fc1.weight.copy_(fc1.weight[order])
        fc1.bias.copy_(fc1.bias[order])
        fc2.weight.copy_(fc2.weight[:, order])

    def cut(self, kept: int) -> BaseModule:
        old1, old2 = self.layers[0][0], self.layers[1]
        if kept == 0:
            return BiasBranch(old2.bias, self.layers[2], self.gamma2, self.dropout_layer)
        self.layers[0][0] = linear_of(old1.weight[:kept], old1.bias[:kept])
        self.layers[1] = linear_of(old2.weight[:, :kept], old2.bias)
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int) -> Cost:
        C = self.layers[1].out_features
        return Cost(kept * num_tokens * 2 * C, kept * (2 * C + 1) + C + num_params(self.gamma2))


class BiasBranch(BaseModule):
    """What is left of a residual branch without units: its output bias, through the branch's scale and dropouts.

    Args:
        bias: Output bias of the branch, shape (C,).
        drop, scale, drop_path: The branch's own modules behind its last linear layer, in the order they apply.
    """

    def __init__(self, bias: Tensor, drop: nn.Module, scale: nn.Module, drop_path: nn.Module) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias.detach().clone())
        self.drop = drop
        self.scale = scale
        self.drop_path = drop_path

    def forward(self, x_NLC: Tensor, identity: Tensor | None = None) -> Tensor:
        out_NLC = self.drop_path(self.scale(self.drop(self.bias.expand_as(x_NLC))))
        return out_NLC if identity is None else identity + out_NLC


class MapBiasBranch(BiasBranch):
    """The same where the branch is told the size of its map."""

    def forward(self, x_NLC: Tensor, map_size: tuple[int, int], identity: Tensor | None = None) -> Tensor:
        return super().forward(x_NLC, identity)


def leading_columns(weight_CK: Tensor, count: int) -> Tensor:
    """The first ``count`` columns; the tensor itself where these are all."""
    return weight_CK if count == weight_CK.shape[1] else weight_CK[:, :count]


# --- heads within two linear layers: qkv, whose rows are laid out as (3, H, D), and proj, whose columns are (H, D) ---

def leading_heads(qkv: nn.Linear, count: int, active: int) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of qkv of the first ``active`` of ``count`` heads."""
    if active == count:
        return qkv.weight, qkv.bias
    weight_3HDC = qkv.weight.unflatten(0, (3, count, -1))
    bias = None if qkv.bias is None else qkv.bias.unflatten(0, (3, count, -1))[:, :active].flatten()
    return weight_3HDC[:, :active].flatten(0, 2), bias


@torch.no_grad()
def reorder_heads(qkv: nn.Linear, proj: nn.Linear, order: list[int]) -> None:
    """Permute the heads in place: head ``order[i]`` becomes head ``i``."""
    H = len(order)
    qkv.weight.copy_(qkv.weight.unflatten(0, (3, H, -1))[:, order].flatten(0, 2))
    if qkv.bias is not None:
        qkv.bias.copy_(qkv.bias.unflatten(0, (3, H, -1))[:, order].flatten())
    proj.weight.copy_(proj.weight.unflatten(1, (H, -1))[:, order].flatten(1))


@torch.no_grad()
def cut_heads(qkv: nn.Linear, proj: nn.Linear, count: int, kept: int) -> tuple[nn.Linear, nn.Linear]:
    """New layers of the first ``kept`` of ``count`` heads, at least one, with their weights."""
    proj_weight = leading_columns(proj.weight, proj.in_features // count * kept)
    return linear_of(*leading_heads(qkv, count, kept)), linear_of(proj_weight, proj.bias)


def cost_of_heads(qkv: nn.Linear, proj: nn.Linear, count: int, kept: int, num_tokens: int, attended: int) -> Cost:
    """Cost of ``kept`` of ``count`` heads over ``num_tokens`` tokens, each of which attends to ``attended``."""
    C, D = proj.out_features, proj.in_features // count
    biases = 3 * D if qkv.bias is not None else 0
    head = Cost(macs=num_tokens * (4 * C * D + 2 * attended * D), params=4 * C * D + biases)
    return Cost(kept * head.macs, kept * head.params + C)


@torch.no_grad()
def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer that holds copies of the given weights."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).to(weight)
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)
    return layer


def num_params(module: nn.Module) -> int:
    """Number of parameters of a module and its sub-modules."""
    return sum(p.numel() for p in module.parameters())
