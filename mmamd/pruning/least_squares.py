"""Ridge least squares from sums over batches and processes.

    min over W, b of  || h W + b - t ||^2 + lam || W - W_0 ||^2        lam = ridge * tr(H) / K

h are the inputs of a linear layer, t what its outputs are to be, W_0 the weights that it has, H the Gram matrix of h
about its mean. The penalty pulls towards W_0 and not towards 0: what the equations leave open stays as it was, and
a layer that is right already does not move.

Shapes: M equations (positions of images), K inputs, C outputs.
"""

from dataclasses import dataclass

import torch
from mmengine import dist
from torch import Tensor

# Of the sums of products of a precision, relative to their size, with a margin: a few units in the last place where
# sums of a batch are taken in float32, and what some 10^8 equations add up to in float64.
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-11}


class Equations:
    """The sums that a least-squares problem is solved from; equations may be added batch by batch.

    Products are taken in the precision of the batch, sums are kept in float64.

    Args:
        num_inputs: K.
        num_outputs: C.
        dtype: Precision of the batches.
        device: Of the batches, where the sums are kept until :meth:`reduce` brings them to the CPU.
    """

    def __init__(self, num_inputs: int, num_outputs: int, dtype: torch.dtype = torch.float32,
                 device: torch.device | str = 'cpu') -> None:
        self.num = 0
        self.rounding = ROUNDING[dtype]
        shapes = (num_inputs,), (num_outputs,), (num_inputs, num_inputs), (num_inputs, num_outputs), (num_outputs,)
        # Apple's GPUs have no float64.
        device = 'cpu' if torch.device(device).type == 'mps' else device
        self.h_K, self.t_C, self.hh_KK, self.ht_KC, self.tt_C = (
            torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes)

    @property
    def _sums(self) -> tuple[Tensor, ...]:
        return self.h_K, self.t_C, self.hh_KK, self.ht_KC, self.tt_C

    @property
    def macs(self) -> int:
        """MACs that the products have taken."""
        return self.num * len(self.h_K) * (len(self.h_K) + len(self.t_C))

    def add(self, h_MK: Tensor, t_MC: Tensor) -> None:
        """Add one equation a row."""
        self.num += len(h_MK)
        found = (h_MK.sum(0), t_MC.sum(0), h_MK.T @ h_MK, h_MK.T @ t_MC, t_MC.square().sum(0))
        for total, part in zip(self._sums, found, strict=True):
            total += part.to(total)

    def reduce(self) -> None:
        """Add up what all processes have."""
        packed = torch.cat([torch.tensor([float(self.num)], dtype=torch.float64),
                            *(total.flatten().cpu() for total in self._sums)])
        dist.all_reduce(packed, op='sum')
        self.num = int(packed[0])
        parts = packed[1:].split([total.numel() for total in self._sums])
        self.h_K, self.t_C, self.hh_KK, self.ht_KC, self.tt_C = (
            part.view_as(total) for total, part in zip(self._sums, parts, strict=True))


@dataclass(frozen=True)
class Solution:
    """Weights of a linear layer, and what they leave of the squared error of all equations.

    Attributes:
        weight_KC: W.
        bias_C: b; None for a layer without.
        before: Squared error of W_0 with the bias that is best for it.
        after: Squared error of W and b.
        penalty: Of W; ``after + penalty`` is at most ``before``.
    """

    weight_KC: Tensor
    bias_C: Tensor | None
    before: float
    after: float
    penalty: float


def solve(equations: Equations, start_KC: Tensor, ridge: float, has_bias: bool = True) -> Solution:
    """The least-squares solution, in float64.

    Of no inputs the solution is the mean of the targets.

    Args:
        equations: The sums, of all processes.
        start_KC: W_0.
        ridge: Weight of the penalty over the mean diagonal of H, above 0.
        has_bias: Whether there is a b.

    Raises:
        FloatingPointError: If a sum is not finite.
        ValueError: If there is no equation.
    """
    if not equations.num:
        raise ValueError('no equation to solve; check that the images of compression.refit are not empty')
    if not all(total.isfinite().all() for total in equations._sums):
        raise FloatingPointError('the inputs or the targets hold NaN or infinity')
    h_K, t_C, start_KC = equations.h_K, equations.t_C, start_KC.double().cpu()
    gram_KK, product_KC, target = equations.hh_KK, equations.ht_KC, equations.tt_C.sum()
    if has_bias:  # about the means, so that the bias drops out
        gram_KK = gram_KK - h_K.outer(h_K) / equations.num
        product_KC = product_KC - h_K.outer(t_C) / equations.num
        target = target - t_C.square().sum() / equations.num
    weight_KC = start_KC
    # Inputs that hardly vary leave nothing but the rounding of their products, which is not to be solved for.
    rounding = equations.rounding * equations.hh_KK.trace()
    lam = (ridge * gram_KK.trace().clamp(min=0) + rounding) / max(1, len(h_K))
    if lam > 0:  # else there are no inputs, or all of them are 0
        weight_KC = _solve_shifted(gram_KK, lam, product_KC + lam * start_KC)

    def error(w_KC: Tensor) -> float:
        return max(0., float(target - 2 * (w_KC * product_KC).sum() + (w_KC * (gram_KK @ w_KC)).sum()))

    bias_C = (t_C - h_K @ weight_KC) / equations.num if has_bias else None
    penalty = float(lam * (weight_KC - start_KC).square().sum())
    return Solution(weight_KC, bias_C, error(start_KC), error(weight_KC), penalty)


def _solve_shifted(gram_KK: Tensor, lam: Tensor, right_KC: Tensor) -> Tensor:
    """``(G + lam I)^-1 right`` of a Gram matrix G, whose eigenvalues are at least 0 but for rounding."""
    factor_KK, failed = torch.linalg.cholesky_ex(gram_KK + lam * torch.eye(len(gram_KK), dtype=gram_KK.dtype))
    if not failed:
        return torch.cholesky_solve(right_KC, factor_KK)
    # One direction of the inputs holds nearly all of their variance, and its rounding is larger than lam.
    values_K, vectors_KK = torch.linalg.eigh(gram_KK)
    return vectors_KK @ ((vectors_KK.T @ right_KC) / (values_K.clamp(min=0) + lam)[:, None])
