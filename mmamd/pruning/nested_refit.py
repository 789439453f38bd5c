"""Nested refit: candidates that share their weights are made good in one walk, and remain one network.

The smallest candidate is refitted as it would be alone; biases and classifier are its. Of every larger one, those
inputs of a last linear layer that the next smaller candidate lacks are solved without a bias, towards what the other
inputs leave of the target on the larger candidate's own stream. Nothing of a smaller candidate changes by it, and what
lies beyond the largest candidate stays as the teacher has it. What the other inputs leave takes one product more an
equation, which :attr:`Record.macs` does not count.

Candidates that share norms or batch statistics have none of their own to be made good with: those of convolutional
networks are refused.

Shapes: M equations, K inputs, C outputs of a last linear layer.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

from mmamd.pruning.least_squares import Equations, Solution
from mmamd.pruning.refit import LinearStep, RefitStep, Step

T = TypeVar('T')


class NestedStep(RefitStep):
    """A step of one of several candidates of a shared network, which runs as that candidate while the step does.

    Args:
        step: The candidate's own step.
        activate: Makes the network run as the candidate.
        num_fixed: Leading inputs that the next smaller candidate has, whose weights stay, as the bias does; None for
            the smallest candidate, of which everything is solved.
    """

    def __init__(self, step: LinearStep, activate: Callable[[], None], num_fixed: int | None = None) -> None:
        super().__init__(step.name)
        self.step = step
        self._activate = activate
        self._is_smallest = num_fixed is None
        self._first = num_fixed or 0
        self.is_refit = self._is_smallest or self._first < step.num_inputs
        self.has_bias = self._is_smallest and step.has_bias

    def enter(self, x: Tensor) -> Tensor:
        self._activate()
        return self.step.enter(x)

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        self._activate()
        return self.step.close(inner, x)

    def leave(self, total: Tensor, x: Tensor) -> Tensor:
        return self.step.leave(total, x)

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        h_MK, t_MC = self.step.equations(inner, x, target)
        if self._is_smallest:
            return h_MK, t_MC
        linear, first = self.step.linear, self._first
        return h_MK[:, first:], t_MC - F.linear(h_MK[:, :first], linear.weight[:, :first], linear.bias)

    @property
    def weight_KC(self) -> Tensor:
        return self.step.weight_KC[self._first:]

    def assign(self, found: Solution, equations: Equations) -> None:
        self.step.assign(found, equations, self._first)


def nested_steps(candidates: dict[str, T], activate: Callable[[T], None],
                 steps: Callable[[], Sequence[Step]]) -> dict[str, list[Step]]:
    """Steps of nested candidates of one shared network, for one walk of :func:`mmamd.pruning.refit.refit`.

    Args:
        candidates: Key -> what the network runs as, ascending: each has at least the units of the one before.
        activate: Makes the network run as such; it is left running as the last one, and the refit leaves it so too.
        steps: The network's steps as it runs.

    Returns:
        Key -> steps, in the same order.

    Raises:
        ValueError: If candidates share norms.
    """
    found: dict[str, list[Step]] = {}
    smaller: Sequence[Step] | None = None
    for key, candidate in candidates.items():
        activate(candidate)
        own = list(steps())
        shared = [step.name for step in own
                  if step.has_statistics or (step.is_refit and not isinstance(step, LinearStep))]
        if shared:
            raise ValueError(f'candidates of this network share the norms of {shared[0]}, so that each larger one '
                             'would have to do with those of the smallest and nested refit offers nothing; expected a '
                             'transformer: start the joint stage from the refit of the smallest candidate instead, '
                             "method.start='smallest'")
        found[key] = [
            NestedStep(step, partial(activate, candidate), None if smaller is None else smaller[i].num_inputs)
            if isinstance(step, LinearStep) else step for i, step in enumerate(own)]
        smaller = own
    return found
