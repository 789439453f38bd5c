"""Transforms of each element by itself (KD-Zero, Table 1)."""

import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.operations.operation import transform


@transform('exp')
def exp(x: Tensor) -> Tensor:
    """``e^x``."""
    return x.exp()


@transform('mish')
def mish(x: Tensor) -> Tensor:
    """``x tanh(ln(1 + e^x))``."""
    return F.mish(x)


@transform('leaky')
def leaky(x: Tensor) -> Tensor:
    """``x``, a hundredth of it where it is negative."""
    return F.leaky_relu(x, 0.01)


@transform('relu', is_idempotent=True)
def relu(x: Tensor) -> Tensor:
    """``max(x, 0)``."""
    return x.relu()


@transform('tanh')
def tanh(x: Tensor) -> Tensor:
    """``tanh(x)``."""
    return x.tanh()


@transform('sigmoid')
def sigmoid(x: Tensor) -> Tensor:
    """``1 / (1 + e^-x)``."""
    return x.sigmoid()


@transform('pow2')
def pow2(x: Tensor) -> Tensor:
    """``x^2``."""
    return x.square()


@transform('pow4')
def pow4(x: Tensor) -> Tensor:
    """``x^4``."""
    return x.pow(4)


@transform('log')
def log(x: Tensor) -> Tensor:
    """``sign(x) ln(|x| + 1e-9)``."""
    return x.sign() * (x.abs() + 1e-9).log()


@transform('sqrt')
def sqrt(x: Tensor) -> Tensor:
    """``sqrt(x)``, which is no number where x is negative."""
    return x.sqrt()
