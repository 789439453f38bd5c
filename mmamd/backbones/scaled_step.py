"""A residual branch behind a scale of its channels, as a step of a refit."""

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.pruning.least_squares import Equations, Solution
from mmamd.pruning.refit import LinearStep

NO_SCALE = 1e-6  # a channel that a branch scales to less than this says nothing of the branch


class ScaledStep(LinearStep):
    """``x + gamma (h W + b)``, h what the last linear layer reads; x are tokens (N, L, C) or maps (N, C, H, W).

    Args:
        name: Of the part of the network that it is.
        linear: The last linear layer.
        num_inputs: How many of its inputs are active.
        gamma_C: The scale.
    """

    def __init__(self, name: str, linear: nn.Linear, num_inputs: int, gamma_C: Tensor) -> None:
        super().__init__(name, linear, num_inputs)
        self._gamma_C = gamma_C

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        wanted = target - x if x.ndim == 3 else (target - x).permute(0, 2, 3, 1)
        # Nothing is wanted of a silent channel, so that it adds nothing to what a refit says it misses.
        wanted = torch.where(self._speaks, wanted / self._gamma_C, 0.)
        return inner.flatten(0, -2), wanted.flatten(0, -2)

    @property
    def weight_KC(self) -> Tensor:
        return super().weight_KC * self._speaks

    def assign(self, found: Solution, equations: Equations, first: int = 0) -> None:
        silent = ~self._speaks
        before = self.linear.weight[silent].clone(), None if self.linear.bias is None else self.linear.bias[silent]
        super().assign(found, equations, first)
        self.linear.weight[silent], bias = before
        if bias is not None:
            self.linear.bias[silent] = bias

    @property
    def _speaks(self) -> Tensor:
        return self._gamma_C.abs() >= NO_SCALE
