"""Transforms of scale: of the values, of the maps, and of what counts as one vector (KD-Zero, Table 1).

Maps whose sides are no multiple of r are padded with zeros at the right and at the bottom.
"""

import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.operations.operation import transform


@transform('scale')
def scale(x: Tensor) -> Tensor:
    """``(x + 1) / 2``."""
    return (x + 1) / 2


@transform('multi-scale', least_rank=4)
def multi_scale(x: Tensor) -> Tensor:
    """Maximum of each field of 4 x 4 positions, (N, C, H, W) -> (N, C, H/4, W/4)."""
    return F.max_pool2d(_padded(x, 4), 4)


@transform('scale_r1', least_rank=4, is_identity=True)
def scale_r1(x: Tensor) -> Tensor:
    """Maximum of each field of 1 x 1: the maps as they are."""
    return x


@transform('scale_r2', least_rank=4)
def scale_r2(x: Tensor) -> Tensor:
    """Maximum of each field of 2 x 2 positions, (N, C, H, W) -> (N, C, H/2, W/2)."""
    return F.max_pool2d(_padded(x, 2), 2)


@transform('local_r1', least_rank=4)
def local_r1(x: Tensor) -> Tensor:
    """Each position a patch, (N, C, H, W) -> (N, C H W, 1, 1)."""
    return _patches(x, 1)


@transform('local_r2', least_rank=4)
def local_r2(x: Tensor) -> Tensor:
    """Patches of 2 x 2 positions, (N, C, H, W) -> (N, C H/2 W/2, 2, 2)."""
    return _patches(x, 2)


@transform('local_r4', least_rank=4)
def local_r4(x: Tensor) -> Tensor:
    """Patches of 4 x 4 positions, (N, C, H, W) -> (N, C H/4 W/4, 4, 4)."""
    return _patches(x, 4)


@transform('batch', least_rank=3, gives=2)
def batch(x: Tensor) -> Tensor:
    """One vector a sample, (N, C, H, W) -> (N, C H W)."""
    return x.flatten(1)


@transform('channel', least_rank=4, gives=3)
def channel(x: Tensor) -> Tensor:
    """One vector a channel, (N, C, H, W) -> (N, C, H W)."""
    return x.flatten(2)


def _padded(x: Tensor, side: int) -> Tensor:
    return F.pad(x, (0, -x.shape[3] % side, 0, -x.shape[2] % side))


def _patches(x: Tensor, side: int) -> Tensor:
    fields = _padded(x, side).unflatten(3, (-1, side)).unflatten(2, (-1, side))  # N, C, H/r, r, W/r, r
    return fields.transpose(3, 4).flatten(1, 3)
