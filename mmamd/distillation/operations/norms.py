"""Transforms that normalise, along one kind of axes or over all (KD-Zero, Table 1)."""

import torch
from torch import Tensor

from mmamd.distillation.operations.operation import transform


@transform('batchnorm', needs_batch=True)
def batchnorm(x: Tensor) -> Tensor:
    """``(x - mean) / sqrt(var + 1e-5)`` of each channel over all other axes, with the batch's own biased variance."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()


@transform('min-max')
def min_max(x: Tensor) -> Tensor:
    """``(x - min) / (max - min + 1e-9)`` over the whole tensor."""
    return (x - x.min()) / (x.max() - x.min() + 1e-9)


@transform('norm_HW', least_rank=3)
def norm_hw(x: Tensor) -> Tensor:
    """``x / |x|_2`` of each channel over its positions."""
    return _at_length_one(x, list(range(2, x.ndim)))


@transform('norm_C')
def norm_c(x: Tensor) -> Tensor:
    """``x / |x|_2`` of each position over axis 1."""
    return _at_length_one(x, [1])


@transform('norm_N', needs_batch=True)
def norm_n(x: Tensor) -> Tensor:
    """``x / |x|_2`` of each element over the samples, axis 0."""
    return _at_length_one(x, [0])


@transform('softmax_HW', least_rank=3, gives=3)
def softmax_hw(x: Tensor) -> Tensor:
    """Softmax of each channel over its positions, (N, C, ...) -> (N, C, HW)."""
    return x.flatten(2).softmax(dim=2)


@transform('softmax_C')
def softmax_c(x: Tensor) -> Tensor:
    """Softmax over axis 1."""
    return x.softmax(dim=1)


@transform('softmax_N', needs_batch=True)
def softmax_n(x: Tensor) -> Tensor:
    """Softmax over the samples, axis 0."""
    return x.softmax(dim=0)


@transform('logsoftmax_HW', least_rank=3, gives=3)
def logsoftmax_hw(x: Tensor) -> Tensor:
    """Logarithm of the softmax of each channel over its positions, (N, C, ...) -> (N, C, HW)."""
    return x.flatten(2).log_softmax(dim=2)


@transform('logsoftmax_C')
def logsoftmax_c(x: Tensor) -> Tensor:
    """Logarithm of the softmax over axis 1."""
    return x.log_softmax(dim=1)


@transform('logsoftmax_N', needs_batch=True)
def logsoftmax_n(x: Tensor) -> Tensor:
    """Logarithm of the softmax over the samples, axis 0."""
    return x.log_softmax(dim=0)


def _at_length_one(x: Tensor, axes: list[int]) -> Tensor:
    """Vectors along some axes at length 1; one of length 0 is left, and its gradient is finite."""
    length = torch.linalg.vector_norm(x, dim=axes, keepdim=True)
    return x / length.masked_fill(length == 0, 1)
