"""Maps and their spectrum: what is left of each channel without its direct component, the zero frequency.

Shapes: N samples, C channels, H x W positions.
"""

import math

import torch
from torch import Tensor


def direct(x_NCHW: Tensor) -> Tensor:
    """The direct component of each channel alone, its mean over positions, at every position."""
    return x_NCHW.mean((2, 3), keepdim=True).expand_as(x_NCHW)


def alternative(x_NCHW: Tensor) -> Tensor:
    """All but the direct component: the maps less the mean of each channel over positions.

    ``idct2`` of ``dct2`` whose bin (0, 0) is set to 0, without the transforms.

    Source: ScaleKD, Eq. 2.
    """
    return x_NCHW - x_NCHW.mean((2, 3), keepdim=True)


def dct2(x_NCHW: Tensor) -> Tensor:
    """Discrete cosine transform of each channel, type II over both axes, not normalised.

    With h, w from 0: ``X[u, v] = 4 sum_hw x[h, w] cos(pi u (2h + 1) / 2H) cos(pi v (2w + 1) / 2W)``.

    Returns:
        Of the same shape; (0, 0) is the direct component, four times the sum over positions.
    """
    rows_HH, columns_WW = (_cosines(side, x_NCHW) for side in x_NCHW.shape[2:])
    return 4 * (rows_HH @ x_NCHW @ columns_WW.T)


def idct2(spectrum_NCHW: Tensor) -> Tensor:
    """The inverse of :func:`dct2`."""
    scaled = spectrum_NCHW / 4
    for side, dim in zip(spectrum_NCHW.shape[2:], (2, 3), strict=True):
        # The rows of the cosines are orthogonal; their squares sum to side / 2, those of the zero frequency to side.
        factors = torch.full((side,), 2 / side, dtype=scaled.dtype, device=scaled.device)
        factors[0] /= 2
        scaled = scaled * factors.view(-1, *(3 - dim) * (1,))
    rows_HH, columns_WW = (_cosines(side, scaled) for side in scaled.shape[2:])
    return rows_HH.T @ scaled @ columns_WW


def _cosines(side: int, like: Tensor) -> Tensor:
    """``cos(pi k (2n + 1) / 2 side)``, a row a frequency k, a column a position n."""
    steps = torch.arange(side, dtype=like.dtype, device=like.device)
    return torch.cos(math.pi / (2 * side) * steps[:, None] * (2 * steps + 1))
