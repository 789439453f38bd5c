"""Adaptive average pooling as products of matrices, for exporters that know it only where fields are equal.

Shapes: N samples, C channels, (H, W) positions before pooling, (h, w) behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from torch import Tensor


class AveragingMatrices(nn.Module):
    """The same averages for maps of one size.

    Args:
        pool: What it stands for.
        size: (H, W).
    """

    def __init__(self, pool: nn.AdaptiveAvgPool2d, size: tuple[int, int]) -> None:
        super().__init__()
        h, w = _output_size(pool, size)
        self.register_buffer('rows_hH', _averages(size[0], h))
        self.register_buffer('columns_Ww', _averages(size[1], w).T.contiguous())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.rows_hH @ x_NCHW @ self.columns_Ww


class AveragingProducts(nn.Module):
    """The same averages for maps of any size, by matrices that are made of the size.

    Args:
        pool: What it stands for.
    """

    def __init__(self, pool: nn.AdaptiveAvgPool2d) -> None:
        super().__init__()
        self.h, self.w = _output_size(pool, (1, 1))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        H, W = x_NCHW.shape[2:]
        return _averages_of(H, self.h, x_NCHW) @ x_NCHW @ _averages_of(W, self.w, x_NCHW).transpose(0, 1)


def _averages_of(before: int | Tensor, behind: int, like: Tensor) -> Tensor:
    """:func:`_averages` in operations that a graph can hold, where ``before`` may be a part of it."""
    i_h1 = torch.arange(behind, device=like.device)[:, None]
    j_1H = torch.arange(before, device=like.device)[None]
    # floor and ceil of integers
    first, last = i_h1 * before // behind, ((i_h1 + 1) * before + behind - 1) // behind
    return ((j_1H >= first) & (j_1H < last)).to(like.dtype) / (last - first).to(like.dtype)


@contextmanager
def pooled_at_any_size(network: nn.Module) -> Iterator[None]:
    """Exchange the adaptive poolings of a network by their like for maps of any size, while the context lasts.

    Those to one value are left: exporters know the mean of all positions.
    """
    pools = {name: module for name, module in network.named_modules() if isinstance(module, nn.AdaptiveAvgPool2d)
             and None not in (wanted := _output_size(module, (None, None))) and wanted != (1, 1)}
    try:
        for name, pool in pools.items():
            _exchange(network, name, AveragingProducts(pool))
        yield
    finally:
        for name, pool in pools.items():
            _exchange(network, name, pool)


@contextmanager
def pooled_by_matrices(network: nn.Module, images: Tensor) -> Iterator[None]:
    """Exchange the adaptive poolings of a network whose fields are of several sizes, while the context lasts.

    Args:
        network: Called on images alone.
        images: Of the one size that it is called with meanwhile.
    """
    pools = {name: module for name, module in network.named_modules() if isinstance(module, nn.AdaptiveAvgPool2d)}
    # What a module reads, seen from in front of it.
    sizes: dict[str, tuple[int, int]] = {}
    hooks = [module.register_forward_pre_hook(lambda _module, args, name=name: sizes.__setitem__(
        name, tuple(args[0].shape[2:]))) for name, module in pools.items()]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    uneven = {name: size for name, size in sizes.items() if any(
        before % behind for before, behind in zip(size, _output_size(pools[name], size), strict=True))}
    try:
        for name, size in uneven.items():
            _exchange(network, name, AveragingMatrices(pools[name], size).to(images.device))
        yield
    finally:
        for name in uneven:
            _exchange(network, name, pools[name])


def _output_size(pool: nn.AdaptiveAvgPool2d, size: tuple[int, int]) -> tuple[int, int]:
    wanted = pool.output_size if isinstance(pool.output_size, (tuple, list)) else (pool.output_size,) * 2
    return tuple(before if behind is None else behind for before, behind in zip(size, wanted, strict=True))


def _averages(before: int, behind: int) -> Tensor:
    """(behind, before): row i averages the positions from floor(i before / behind) to ceil((i + 1) before / behind)."""
    matrix = torch.zeros(behind, before)
    for i in range(behind):
        first, last = i * before // behind, -(-(i + 1) * before // behind)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def _exchange(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition('.')
    setattr(network.get_submodule(parent), attribute, module)
