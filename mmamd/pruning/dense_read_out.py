"""The last layer of a head that gives logits at every position of a map, as a step of a refit.

Shapes: N samples, K inputs, C outputs, h x w positions.
"""

from collections.abc import Callable

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.pruning.least_squares import Equations, Solution
from mmamd.pruning.refit import LinearStep, ReadOut

POSITIONS = 64  # of a map from which equations are taken; neighbouring ones say nearly the same


def some_positions(num: int, device: torch.device) -> Tensor:
    """At most :data:`POSITIONS` of so many positions, always the same."""
    return torch.randperm(num, generator=torch.Generator().manual_seed(num))[:POSITIONS].to(device)


class DenseReadOut(ReadOut):
    """A 1 x 1 convolution that ends a head.

    Args:
        name: Of the layer.
        conv: The layer.
        rest: Runs all of the network that is behind the stream, this layer included.
    """

    def __init__(self, name: str, conv: nn.Conv2d, rest: Callable[[Tensor], object]) -> None:
        LinearStep.__init__(self, name, conv, conv.in_channels)
        self._rest = rest

    @property
    def weight_KC(self) -> Tensor:
        return self.linear.weight.flatten(1).T

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        chosen = some_positions(inner[0, 0].numel(), inner.device)
        return tuple(maps.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1) for maps in (inner, target))

    def assign(self, found: Solution, equations: Equations, first: int = 0) -> None:
        self.linear.weight[:, first:] = found.weight_KC.T[..., None, None].to(self.linear.weight)
        if found.bias_C is not None:
            self.linear.bias.copy_(found.bias_C)
