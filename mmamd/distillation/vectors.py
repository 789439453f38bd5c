"""One vector an image, and what formulas that know no scale are computed from.

Legend: N samples, C channels, (H, W) positions, D elements of a vector.
"""

from contextlib import nullcontext

import torch
from torch import Tensor

from mmamd.distillation.losses.loss import at_least_float32
from mmamd.distillation.maps import as_maps


def pooled(state: Tensor, images: Tensor) -> Tensor:
    """Vectors (N, C), at least float32: the mean over the positions of maps or tokens; vectors are left as they are.

    That of the last state is what the classifier of a convolutional network reads.
    """
    state = at_least_float32(state)
    return state if state.ndim == 2 else as_maps(state, images).mean(dim=(2, 3))


def flattened(state: Tensor, images: Tensor) -> Tensor:
    """Vectors (N, C H W), at least float32: all elements of maps or tokens; vectors are left as they are."""
    state = at_least_float32(state)
    return state if state.ndim == 2 else as_maps(state, images).flatten(1)


def rescaled(x: Tensor) -> Tensor:
    """Divided by its largest magnitude, which is constant to the gradient; at least float32. Zeros are left.

    A formula that is blind to scale keeps its value and its gradient, and its squares and powers stay finite.
    """
    x = at_least_float32(x)
    return x / _or_one(x.detach().abs().amax())


def unit(x: Tensor) -> Tensor:
    """Vectors of length 1 along the last dim. One of length 0 is left, and its gradient is finite."""
    return x / _or_one(x.norm(dim=-1, keepdim=True))


def gram(x_ND: Tensor) -> Tensor:
    """Products of all pairs of vectors, (..., N, D) -> (..., N, N), in their own precision under autocast too."""
    device = x_ND.device.type
    # Where shapes alone are asked for, on the device `meta`, there is no autocast.
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        return x_ND @ x_ND.mT


def _or_one(x: Tensor) -> Tensor:
    return x.masked_fill(x == 0, 1)
