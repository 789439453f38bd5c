"""The cross attention projector: a transformer's decoder block from a student's maps to a teacher's tokens.

Shapes: N samples, L tokens that are asked for, P positions of the student's maps (H x W), D their channels, C channels
of the tokens, F heads of the attention, W windows.
"""

import torch
from torch import Tensor, nn

from mmamd.backbones.attention import attend
from mmamd.backbones.elastic_window_attention import join_windows, split_windows

SPREAD = 0.02  # standard deviation of the positions, as of a transformer's own


class CrossAttention(nn.Module):
    """Multi-head attention of queries to keys of another width.

    Args:
        width: C, of queries and results.
        own: D, of keys and values.
        heads: Number of heads.
        softmax_scale: What the logits are multiplied by beside the usual root of the width of a head. The larger, the
            fewer positions a query sees; towards 0 all are seen alike.
        windows: Parts of each side: a query sees the keys of its own window, of windows x windows. 1 for all keys;
            more needs square maps.

    Raises:
        ValueError: If the heads do not divide the width.
    """

    def __init__(self, width: int, own: int, heads: int, softmax_scale: float, windows: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the teacher's {width} channels; choose heads that do")
        self.heads, self.windows = heads, windows
        self.scale = softmax_scale * (width // heads)**-0.5
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(own, width)
        self.value = nn.Linear(own, width)
        self.leave = nn.Linear(width, width)

    def forward(self, queries_NLC: Tensor, keys_NPD: Tensor) -> Tensor:
        """What the queries find, (N, L, C); tokens of square maps row by row, whatever the windows."""
        parts = self.query(queries_NLC), self.key(keys_NPD), self.value(keys_NPD)
        num = len(queries_NLC)
        q, k, v = (self._in_windows(part).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        found = attend(q, k, v, scale=self.scale).transpose(1, 2).flatten(2)
        if self.windows > 1:
            side = round(queries_NLC.shape[1]**0.5)
            found = join_windows(found.unflatten(0, (num, -1)), (side, side), side // self.windows).flatten(1, 2)
        return self.leave(found)

    def weights(self, queries_NLC: Tensor, keys_NPD: Tensor) -> Tensor:
        """How much each query sees of each position, mean over heads: (N, L, P); without windows."""
        q, k = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for part in (self.query(queries_NLC), self.key(keys_NPD)))
        return (q @ k.mT * self.scale).softmax(-1).mean(1)

    def _in_windows(self, x_NLC: Tensor) -> Tensor:
        """(N, L, C) -> (N W, L / W, C)."""
        if self.windows == 1:
            return x_NLC
        side = round(x_NLC.shape[1]**0.5)
        return split_windows(x_NLC.unflatten(1, (side, side)), side // self.windows).flatten(0, 1)


class CrossAttentionProjector(nn.Module):
    """Tokens of a teacher's width and number from a student's maps of any size.

    The maps pass a 3 x 3 convolution, a batch norm and a ReLU, and get learnt positions; the queries, learnt or given,
    pass a linear map and a ReLU. What they find in the maps passes a norm and a feed-forward network of four times the
    width, which is added. The query itself is not: what a token is comes from the student alone.

    With learnt queries there are ``3 (C^2 + C) + 9 D^2 + 3 D + D H W + 2 (D C + C) + 8 C^2 + 7 C + L C`` parameters.

    Args:
        own: D, H and W of the student's maps.
        width: C.
        num_queries: L, number of learnt queries; None where they are given.
        heads, softmax_scale, windows: See :class:`CrossAttention`.

    Raises:
        ValueError: As there.

    Source: ScaleKD, section 2.1; what the text leaves open as in the authors' code.
    """

    def __init__(self, own: tuple[int, int, int], width: int, num_queries: int | None, *, heads: int,
                 softmax_scale: float = 5.0, windows: int = 1) -> None:
        super().__init__()
        depth = own[0]
        self.attention = CrossAttention(width, depth, heads, softmax_scale, windows)
        self.stem = nn.Conv2d(depth, depth, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(depth)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(own), std=SPREAD))
        self.queries = None if num_queries is None else nn.Parameter(torch.randn(num_queries, width))
        self.enter = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, maps_NDHW: Tensor, queries_NLC: Tensor | None = None) -> Tensor:
        """Tokens (N, L, C); a narrower candidate's maps are the leading channels.

        Raises:
            ValueError: If the maps have another size than the positions.
        """
        if maps_NDHW.shape[2:] != self.positions.shape[1:]:
            raise ValueError(f"the student's maps are {tuple(maps_NDHW.shape[2:])}, and the projector was built for "
                             f'{tuple(self.positions.shape[1:])}; give all images one size')
        stem = self.stem
        maps = nn.functional.conv2d(maps_NDHW, stem.weight[:, :maps_NDHW.shape[1]], stem.bias, padding=stem.padding)
        keys_NPD = (self.stem_norm(maps).relu() + self.positions).flatten(2).mT
        queries = self.queries.expand(len(keys_NPD), -1, -1) if queries_NLC is None else queries_NLC
        found = self.norm(self.attention(self.enter(queries).relu(), keys_NPD))
        return found + self.ffn(found)
