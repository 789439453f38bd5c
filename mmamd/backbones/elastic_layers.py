"""Attention and feed-forward branches that can run with a prefix of their units.

They adopt the host's sub-modules under the host's names, so that state-dict keys and shapes are the host's.

Shapes: N samples, L tokens, C embedding width, H heads, D width of a head, F hidden neurons.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmamd.structures import Cost


class ElasticBranch(BaseModule):
    """A residual branch made of ``count`` equal units of which the first ``active`` run.

    A branch at width zero is computed, not skipped: its norm, its matrices of width zero and its bias stay in the
    graph, so that every parameter receives a gradient (zero, where it had no part) in every candidate and
    DistributedDataParallel never waits for one.

    Attributes:
        kind: Kind of the units.
        count: Number of units the branch has.
        active: Number of leading units the forward pass uses.
        gate: None, or a tensor (N, count) that multiplies each unit's contribution for each sample.
    """

    kind: str

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.active = count
        self.gate: Tensor | None = None

    def activate(self, active: int) -> None:
        """Run with the first ``active`` units. Raises ValueError outside 0..count."""
        if not 0 <= active <= self.count:
            raise ValueError(f'cannot keep {active} of {self.count} {self.kind}s; expected 0 to {self.count}')
        self.active = active

    def reorder(self, order: list[int]) -> None:
        """Permute the units in place: unit ``order[i]`` becomes unit ``i``. The function is unchanged."""
        raise NotImplementedError

    def cut(self, kept: int) -> BaseModule:
        """The branch that has only the first ``kept`` units, with their weights; at zero, its bias alone."""
        raise NotImplementedError

    def cost(self, kept: int, num_tokens: int) -> Cost:
        """MACs for one sample of ``num_tokens`` tokens, and parameters, of ``cut(kept)``."""
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

    def forward(self, x_NLC: Tensor) -> Tensor:
        N, L, C = x_NLC.shape
        H, D = self.active, self.head_dims
        weight, bias = self.qkv.weight, self.qkv.bias
        proj_weight = self.proj.weight
        if self.count > H:
            weight = weight.view(3, self.count, D, C)[:, :H].reshape(3 * H * D, C)
            bias = None if bias is None else bias.view(3, self.count, D)[:, :H].reshape(3 * H * D)
            proj_weight = proj_weight[:, :H * D]

        q_NHLD, k_NHLD, v_NHLD = F.linear(x_NLC, weight, bias).reshape(N, L, 3, H, D).permute(2, 0, 3, 1, 4)
        if H:
            dropout = self.attn_drop if self.training else 0.
            context_NHLD = F.scaled_dot_product_attention(q_NHLD, k_NHLD, v_NHLD, dropout_p=dropout)
        else:
            # torch 2.11 on CPU kills the process when attention gets zero heads; the empty value keeps the graph.
            context_NHLD = v_NHLD
        if self.gate is not None:
            context_NHLD = context_NHLD * self.gate[:, :H, None, None]
        out_NLC = F.linear(context_NHLD.transpose(1, 2).reshape(N, L, H * D), proj_weight, self.proj.bias)
        return self.out_drop(self.gamma1(self.proj_drop(out_NLC)))

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        C, D = self.proj.out_features, self.head_dims
        self.qkv.weight.copy_(self.qkv.weight.view(3, self.count, D, C)[:, order].reshape(-1, C))
        if self.qkv.bias is not None:
            self.qkv.bias.copy_(self.qkv.bias.view(3, self.count, D)[:, order].reshape(-1))
        self.proj.weight.copy_(self.proj.weight.view(C, self.count, D)[:, order].reshape(C, -1))

    @torch.no_grad()
    def cut(self, kept: int) -> BaseModule:
        if kept == 0:
            return BiasBranch(self.proj.bias, self.proj_drop, self.gamma1, self.out_drop)
        C, D, H = self.proj.out_features, self.head_dims, self.count
        qkv = nn.Linear(C, 3 * kept * D, bias=self.qkv.bias is not None).to(self.qkv.weight)
        qkv.weight.copy_(self.qkv.weight.view(3, H, D, C)[:, :kept].reshape(-1, C))
        if self.qkv.bias is not None:
            qkv.bias.copy_(self.qkv.bias.view(3, H, D)[:, :kept].reshape(-1))
        proj = nn.Linear(kept * D, C).to(self.proj.weight)
        proj.weight.copy_(self.proj.weight[:, :kept * D])
        proj.bias.copy_(self.proj.bias)
        self.qkv, self.proj = qkv, proj
        self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int) -> Cost:
        C, D, L = self.proj.out_features, self.head_dims, num_tokens
        biases = 3 * D if self.qkv.bias is not None else 0
        head = Cost(macs=L * 4 * C * D + 2 * L * L * D, params=4 * C * D + biases)
        return Cost(kept * head.macs, kept * head.params + C + num_params(self.gamma1))


class ElasticFFN(ElasticBranch):
    """Two-layer feed-forward network over the first ``active`` hidden neurons.

    Args:
        host: MMCV's FFN, whose sub-modules are adopted.
    """

    kind = 'neuron'

    def __init__(self, host: nn.Module) -> None:
        if getattr(host, 'num_fcs', None) != 2:
            raise ValueError(f'{type(host).__name__} cannot be pruned by neurons; expected a feed-forward network of '
                             f"two linear layers: set ffn_type='origin' and num_fcs=2")
        super().__init__(host.feedforward_channels)
        self.layers = host.layers
        self.gamma2 = host.gamma2
        self.dropout_layer = host.dropout_layer

    def forward(self, x_NLC: Tensor, identity: Tensor) -> Tensor:
        (fc1, act, drop), fc2, out_drop = self.layers
        w1_FC, b1_F, w2_CF = fc1.weight, fc1.bias, fc2.weight
        if self.count > self.active:
            w1_FC, b1_F, w2_CF = w1_FC[:self.active], b1_F[:self.active], w2_CF[:, :self.active]
        hidden_NLF = drop(act(F.linear(x_NLC, w1_FC, b1_F)))
        if self.gate is not None:
            hidden_NLF = hidden_NLF * self.gate[:, None, :self.active]
        out_NLC = out_drop(F.linear(hidden_NLF, w2_CF, fc2.bias))
        return identity + self.dropout_layer(self.gamma2(out_NLC))

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        fc1, fc2 = self.layers[0][0], self.layers[1]
        fc1.weight.copy_(fc1.weight[order])
        fc1.bias.copy_(fc1.bias[order])
        fc2.weight.copy_(fc2.weight[:, order])

    @torch.no_grad()
    def cut(self, kept: int) -> BaseModule:
        old1, old2 = self.layers[0][0], self.layers[1]
        if kept == 0:
            return BiasBranch(old2.bias, self.layers[2], self.gamma2, self.dropout_layer)
        fc1 = nn.Linear(old1.in_features, kept).to(old1.weight)
        fc1.weight.copy_(old1.weight[:kept])
        fc1.bias.copy_(old1.bias[:kept])
        fc2 = nn.Linear(kept, old2.out_features).to(old2.weight)
        fc2.weight.copy_(old2.weight[:, :kept])
        fc2.bias.copy_(old2.bias)
        self.layers[0][0], self.layers[1] = fc1, fc2
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


def num_params(module: nn.Module) -> int:
    """Number of parameters of a module and its sub-modules."""
    return sum(p.numel() for p in module.parameters())
