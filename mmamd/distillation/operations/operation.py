"""What an operation is beside its formula, and how it is registered.

Knowledge is a tensor of rank 4, maps (N, C, H, W), of rank 3, (N, C, M), or of rank 2, (N, C). Axis 0 is always the
samples. ``HW`` means all positions, the axes after the channels.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS

Rand = Callable[..., Tensor]  # rand(*shape): uniform numbers in [0, 1)


@dataclass(frozen=True)
class Transform:
    """A transform of knowledge, the same for student and teacher.

    Attributes:
        function: Of the knowledge, and of a :data:`Rand` if it draws.
        least_rank: Knowledge of a lower rank has not the axes that it asks for, and is left as it is.
        gives: Rank of what it returns; None for that of what it gets.
        needs_batch: Whether it says nothing of one sample alone.
        draws: Whether it draws at random; student and teacher are given the same draw.
        is_identity: Whether it changes nothing.
        is_idempotent: Whether a second one right after it changes nothing.
    """

    function: Callable[..., Tensor]
    least_rank: int = 2
    gives: int | None = None
    needs_batch: bool = False
    draws: bool = False
    is_identity: bool = False
    is_idempotent: bool = False

    def __call__(self, x: Tensor, rand: Rand | None = None) -> Tensor:
        if x.ndim < self.least_rank:
            return x
        return self.function(x, rand) if self.draws else self.function(x)


@dataclass(frozen=True)
class Distance:
    """A distance of the student's knowledge to the teacher's.

    Attributes:
        function: Of both, to one value a sample, (N,), or to a scalar where the batch is compared as a whole.
        needs_batch: Whether it says nothing of one sample alone.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    needs_batch: bool = False

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        if student.shape != teacher.shape:
            raise ValueError(f'a distance compares knowledge of one shape, got {tuple(student.shape)} of the student '
                             f'and {tuple(teacher.shape)} of the teacher; align them first, as mmamd.GenomeLoss does')
        return self.function(student, teacher)


@dataclass(frozen=True)
class Calibration:
    """A weight of each sample, without gradient.

    Attributes:
        function: Of the logits of student and teacher and of the targets, (N,), to (N,).
        needs_target: Whether it reads the targets; without, they may be None.
    """

    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    needs_target: bool = False

    def __call__(self, student: Tensor, teacher: Tensor, target: Tensor | None) -> Tensor:
        return self.function(student.detach(), teacher.detach(), target)


def transform(name: str, **about) -> Callable:
    """Register a function as a :class:`Transform`, of whose fields ``about`` are some."""
    return _registering(KD_TRANSFORMS, name, lambda function: Transform(function, **about))


def distance(name: str, **about) -> Callable:
    """Register a function as a :class:`Distance`."""
    return _registering(KD_DISTANCES, name, lambda function: Distance(function, **about))


def calibration(name: str, **about) -> Callable:
    """Register a function as a :class:`Calibration`."""
    return _registering(KD_CALIBRATIONS, name, lambda function: Calibration(function, **about))


def _registering(registry, name: str, made: Callable) -> Callable:
    def register(function: Callable) -> Callable:
        registry.register_module(name=name, module=made(function))
        return function
    return register


def per_sample(x: Tensor) -> Tensor:
    """The mean of each sample's values, (N, ...) -> (N,)."""
    return x.reshape(len(x), -1).mean(dim=1)
