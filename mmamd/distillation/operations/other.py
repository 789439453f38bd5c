"""No transform, and transforms to relations (KD-Zero, Table 1)."""

from torch import Tensor

from mmamd.distillation.operations.operation import transform
from mmamd.distillation.vectors import gram


@transform('no', is_identity=True)
def no(x: Tensor) -> Tensor:
    """The knowledge as it is."""
    return x


@transform('bmm', least_rank=3, gives=3)
def bmm(x: Tensor) -> Tensor:
    """Products of all pairs of a sample's channels, (N, C, HW) -> (N, C, C)."""
    return gram(x.flatten(2))


@transform('mm', least_rank=3, gives=2, needs_batch=True)
def mm(x: Tensor) -> Tensor:
    """Products of all pairs of samples, (N, ...) -> (N, N)."""
    return gram(x.flatten(1))
