"""Refit of candidates that share their weights: they are made good in one walk, and remain one network.

Nested (:func:`nested_steps`), the smallest candidate is refitted as it would be alone; biases and classifier are its.
Of every larger one, those inputs of a last linear layer that the next smaller candidate lacks are solved without a
bias, towards what the other inputs leave of the target on the larger candidate's own stream. Nothing of a smaller
candidate changes by it. What the other inputs leave takes one product more an equation, which ``Record.macs`` does not
count.

Together (:func:`joint_steps`), the weights of each layer solve the equations of all candidates at once, each on its own
stream, those that lack an input having zeros there: the compromise that misses least on the average over candidates.
What the layer reads is kept for all candidates at once, each as wide as the largest: for nine of them nine times as
much as a refit of the largest keeps.

What lies beyond the largest candidate stays as the teacher has it either way.

Candidates that share norms or batch statistics have none of their own to be made good with: those of convolutional
networks are refused.

Shapes: M equations, K inputs, C outputs of a last linear layer.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch
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


class JointStep(RefitStep):
    """A step of all candidates of a shared network, whose streams lie one behind the other in a batch.

    Args:
        steps: The candidates' own steps, ascending.
        activates: Make the network run as the candidates, in the same order.
    """

    def __init__(self, steps: Sequence[LinearStep], activates: Sequence[Callable[[], None]]) -> None:
        super().__init__(steps[-1].name)
        self._steps = list(steps)
        self._activates = list(activates)
        self._largest = steps[-1]
        self.has_bias = self._largest.has_bias

    def enter(self, x: Tensor) -> Tensor:
        inner = [step.enter(own) for step, own in self._each(x)]
        return torch.cat([F.pad(each, (0, self._lacking(step)))
                          for each, step in zip(inner, self._steps, strict=True)])

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        parts = inner.chunk(len(self._steps))
        return torch.cat([step.close(part[..., :part.shape[-1] - self._lacking(step)], own)
                          for part, (step, own) in zip(parts, self._each(x), strict=True)])

    def leave(self, total: Tensor, x: Tensor) -> Tensor:
        return self._largest.leave(total, x)

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return self._largest.equations(inner, x, torch.cat([target] * (len(inner) // len(target))))

    @property
    def weight_KC(self) -> Tensor:
        return self._largest.weight_KC

    def assign(self, found: Solution, equations: Equations) -> None:
        self._largest.assign(found, equations)

    def _lacking(self, step: LinearStep) -> int:
        """How many of the largest candidate's inputs a step is without: none of a read-out, which may read maps."""
        return self._largest.num_inputs - step.num_inputs

    def _each(self, x: Tensor) -> Iterator[tuple[LinearStep, Tensor]]:
        """Each candidate's step with its own stream, while the network runs as it."""
        for step, activate, own in zip(self._steps, self._activates, x.chunk(len(self._steps)), strict=True):
            activate()
            yield step, own


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
    for key, own in _own_steps(candidates, activate, steps).items():
        found[key] = [
            NestedStep(step, partial(activate, candidates[key]), None if smaller is None else smaller[i].num_inputs)
            if isinstance(step, LinearStep) else step for i, step in enumerate(own)]
        smaller = own
    return found


def joint_steps(candidates: dict[str, T], activate: Callable[[T], None],
                steps: Callable[[], Sequence[Step]]) -> list[Step]:
    """Steps of all candidates of one shared network as one, for a walk in which every layer is solved for all of them.

    Arguments and errors are those of :func:`nested_steps`. The first step makes one stream a candidate of the images.
    """
    own = list(_own_steps(candidates, activate, steps).values())
    activates = [partial(activate, candidate) for candidate in candidates.values()]
    first, *others = zip(*own, strict=True)
    return [Step(first[0].name, lambda images: torch.cat([first[0].run(images)[1]] * len(own))),
            *(JointStep(each, activates) if isinstance(each[0], LinearStep) else each[0] for each in others)]


def _own_steps(candidates: dict[str, T], activate: Callable[[T], None],
               steps: Callable[[], Sequence[Step]]) -> dict[str, list[Step]]:
    """Steps of each candidate of a shared network."""
    found = {}
    for key, candidate in candidates.items():
        activate(candidate)
        found[key] = list(steps())
    shared = [step.name for own in found.values() for step in own
              if step.has_statistics or (step.is_refit and not isinstance(step, LinearStep))]
    if shared:
        raise ValueError(f'candidates of this network share the norms of {shared[0]}, so that all would have to do '
                         'with those of one of them, and a refit of shared weights offers nothing; expected a '
                         'transformer: start the joint stage from the refit of the smallest candidate instead, '
                         "method.start='smallest'")
    return found
