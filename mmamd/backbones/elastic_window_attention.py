"""Attention within (shifted) windows that can run with a prefix of its heads.

Shapes: N samples, L tokens, C embedding width, h x w the map, W windows, T tokens of a window, H heads, D width of a
head.
"""

from collections.abc import Callable
from math import prod

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import WindowMSA
from torch import Tensor

from mmamd.backbones.attention import attend
from mmamd.backbones.elastic_layers import (
    ElasticBranch,
    MapBiasBranch,
    cost_of_heads,
    cut_heads,
    leading_columns,
    leading_heads,
    reorder_heads,
)
from mmamd.structures import Cost

MASKED = -100.  # added to the attention of tokens that are no neighbours; Swin's own value, not minus infinity


class ElasticWindowAttention(ElasticBranch):
    """Swin's windowed self-attention over the first ``active`` heads.

    The column of the relative position bias moves, and is cut, with its head. The softmax scale is that of the head's
    own width, which whole-head pruning leaves unchanged.

    Args:
        host: MMPretrain's ShiftWindowMSA, whose sub-modules are adopted.
        scope: Scope of the ranking.

    Raises:
        ValueError: If the attention is not Swin's first version, or the heads do not divide the width.
    """

    kind = 'head'

    def __init__(self, host: nn.Module, scope: str = 'all') -> None:
        w_msa = host.w_msa
        if type(w_msa) is not WindowMSA:
            raise ValueError(f'{scope}: {type(w_msa).__name__} cannot be pruned by heads; expected the WindowMSA of '
                             'the first Swin: leave window_msa out of attn_cfgs (Swin V2 is not supported)')
        if w_msa.embed_dims % w_msa.num_heads:
            raise ValueError(f'{scope}: {w_msa.num_heads} heads do not divide the embedding width '
                             f'{w_msa.embed_dims}; change num_heads or embed_dims of arch')
        super().__init__(w_msa.num_heads, scope)
        self.w_msa = w_msa  # holds the weights under the host's names; its forward is not used
        self.drop = host.drop
        self.window_size = host.window_size
        self.shift_size = host.shift_size
        self.pad_small_map = host.pad_small_map

    def check_window(self, map_size: tuple[int, int]) -> None:
        """Raise ValueError unless the window fits the map, or small maps are padded."""
        if min(map_size) < self.window_size and not self.pad_small_map:
            raise ValueError(f'{self.scope}: a window of {self.window_size} x {self.window_size} tokens does not fit '
                             f'the map of {map_size[0]} x {map_size[1]}; set window_size to at most {min(map_size)}, '
                             'pad_small_map=True, or use larger images (a smaller patch_size)')

    def padded(self, map_size: tuple[int, int]) -> tuple[int, int]:
        """The map with as many rows and columns as the windows need."""
        return tuple(-(-side // self.window_size) * self.window_size for side in map_size)

    @property
    def last(self) -> nn.Linear:
        return self.w_msa.proj

    @property
    def last_scale(self) -> nn.Module:
        return nn.Identity()

    def forward(self, x_NLC: Tensor, map_size: tuple[int, int]) -> Tensor:
        return self.drop(self._over_windows(x_NLC, map_size, lambda x, mask: self._project(self._attend(x, mask))))

    def inner(self, x_NLC: Tensor, map_size: tuple[int, int]) -> Tensor:
        return self._over_windows(x_NLC, map_size, self._attend)

    def outer(self, inner_NLK: Tensor) -> Tensor:
        return self.drop(self._project(inner_NLK))

    def _over_windows(self, x_NLC: Tensor, map_size: tuple[int, int],
                      attend_in: Callable[[Tensor, Tensor | None], Tensor]) -> Tensor:
        """What a function of windows and mask gives, tokens in the order of ``x_NLC``, without padding."""
        N, L, C = x_NLC.shape
        h, w = (int(side) for side in map_size)
        self.check_window((h, w))
        padded = h_pad, w_pad = self.padded((h, w))
        # The host does not shift a map that is one window high or wide, unless it pads small maps.
        shift = 0 if min(h, w) == self.window_size and not self.pad_small_map else self.shift_size

        x_NhwC = F.pad(x_NLC.reshape(N, h, w, C), (0, 0, 0, w_pad - w, 0, h_pad - h))
        x_NhwC = torch.roll(x_NhwC, (-shift, -shift), (1, 2)) if shift else x_NhwC
        mask_WTT = shift_mask(padded, self.window_size, shift, x_NLC) if shift else None
        out_NWTK = attend_in(split_windows(x_NhwC, self.window_size), mask_WTT)
        out_NhwK = join_windows(out_NWTK, padded, self.window_size)
        out_NhwK = torch.roll(out_NhwK, (shift, shift), (1, 2)) if shift else out_NhwK
        return out_NhwK[:, :h, :w].reshape(N, L, out_NhwK.shape[-1])

    def _project(self, context_K: Tensor) -> Tensor:
        w_msa = self.w_msa
        return w_msa.proj_drop(F.linear(context_K, leading_columns(w_msa.proj.weight, context_K.shape[-1]),
                                        w_msa.proj.bias))

    def _attend(self, x_NWTC: Tensor, mask_WTT: Tensor | None) -> Tensor:
        """Contexts of the active heads within each window, shape (N, W, T, K)."""
        N, W, T, _ = x_NWTC.shape
        w_msa, H = self.w_msa, self.active
        qkv_weight, qkv_bias = leading_heads(w_msa.qkv, self.count, H)
        D = w_msa.proj.in_features // self.count
        qkv_NWT3HD = F.linear(x_NWTC, qkv_weight, qkv_bias).reshape(N, W, T, 3, H, D)
        # The heads of all windows of a map stand side by side as those of one attention: fused kernels take four
        # dimensions, and a bias for each head that is the same for all samples. One copy each, so that queries and
        # keys are not kept for the sake of the values.
        q_NGTD, k_NGTD, v_NGTD = (part_NWTHD.transpose(2, 3).reshape(N, W * H, T, D)
                                  for part_NWTHD in qkv_NWT3HD.unbind(3))
        bias_HTT = w_msa.relative_position_bias_table[:, :H][w_msa.relative_position_index].permute(2, 0, 1)
        bias_WHTT = bias_HTT.expand(W, H, T, T) if mask_WTT is None else bias_HTT + mask_WTT[:, None]
        bias_GTT = bias_WHTT.reshape(W * H, T, T).to(q_NGTD.dtype)
        if H:
            dropout = w_msa.attn_drop.p if self.training else 0.
            context_NGTD = attend(q_NGTD, k_NGTD, v_NGTD, scale=w_msa.scale, bias_HLL=bias_GTT, dropout=dropout)
        else:
            # Attention must not be given zero heads; the empty product keeps the values and the bias in the graph.
            context_NGTD = bias_GTT @ v_NGTD
        context_NWHTD = context_NGTD.reshape(N, W, H, T, D)
        if self.gate is not None:
            context_NWHTD = context_NWHTD * self.gate[:, None, :H, None, None]
        return context_NWHTD.transpose(2, 3).reshape(N, W, T, H * D)

    @torch.no_grad()
    def reorder(self, order: list[int]) -> None:
        reorder_heads(self.w_msa.qkv, self.w_msa.proj, order)
        table = self.w_msa.relative_position_bias_table
        table.copy_(table[:, order])

    def cut(self, kept: int) -> BaseModule:
        w_msa = self.w_msa
        if kept == 0:
            return MapBiasBranch(w_msa.proj.bias, w_msa.proj_drop, nn.Identity(), self.drop)
        w_msa.qkv, w_msa.proj = cut_heads(w_msa.qkv, w_msa.proj, self.count, kept)
        w_msa.relative_position_bias_table = nn.Parameter(
            w_msa.relative_position_bias_table.detach()[:, :kept].clone())
        w_msa.num_heads = self.count = self.active = kept
        return self

    def cost(self, kept: int, num_tokens: int, map_size: tuple[int, int]) -> Cost:
        """As in the base; the tokens of the padded map are counted."""
        w_msa = self.w_msa
        heads = cost_of_heads(w_msa.qkv, w_msa.proj, self.count, kept, prod(self.padded(map_size)),
                              attended=self.window_size ** 2)
        return heads + Cost(0, kept * len(w_msa.relative_position_bias_table))


def split_windows(x_NhwC: Tensor, window: int) -> Tensor:
    """(N, h, w, C) -> (N, W, T, C): windows in row-major order, and tokens of each likewise."""
    N, h, w, C = x_NhwC.shape
    blocks = x_NhwC.reshape(N, h // window, window, w // window, window, C)
    return blocks.transpose(2, 3).reshape(N, (h // window) * (w // window), window ** 2, C)


def join_windows(x_NWTC: Tensor, map_size: tuple[int, int], window: int) -> Tensor:
    """(N, W, T, C) -> (N, h, w, C), the inverse of :func:`split_windows`."""
    N, C = x_NWTC.shape[0], x_NWTC.shape[-1]
    h, w = map_size
    blocks = x_NWTC.reshape(N, h // window, w // window, window, window, C)
    return blocks.transpose(2, 3).reshape(N, h, w, C)


def shift_mask(map_size: tuple[int, int], window: int, shift: int, like: Tensor) -> Tensor:
    """What is added to the attention within the windows of a shifted map, shape (W, T, T).

    The shift wraps rows from one end of the map to the other. They lie in the last row of windows, and attend only
    among themselves; columns likewise (Swin, Fig. 4).
    """
    h_regions, w_regions = (
        (torch.arange(side, device=like.device) >= side - window).int()
        + (torch.arange(side, device=like.device) >= side - shift).int() for side in map_size)
    regions_WT = split_windows((3 * h_regions[:, None] + w_regions)[None, :, :, None], window).squeeze(-1).squeeze(0)
    apart_WTT = regions_WT[:, :, None] != regions_WT[:, None, :]
    return torch.zeros(apart_WTT.shape, dtype=like.dtype, device=like.device).masked_fill(apart_WTT, MASKED)
