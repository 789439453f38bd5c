"""Dual-view feature mimicking: maps are compared as they are, and without their dominant direct component.

Shapes: N samples, C channels, H x W positions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.loss import at_least_float32
from mmamd.distillation.losses.scalekd.spectrum import alternative, direct


def mimicking_loss(student_NCHW: Tensor, teacher_NCHW: Tensor, over_positions: str = 'sum') -> Tensor:
    """Squared distance of the directions of two maps: ``2 - 2 cos`` at each position, mean over samples.

    Blind to the length of each position's channel vector.

    Args:
        student_NCHW, teacher_NCHW: Maps of one shape.
        over_positions: ``'sum'``, as in the authors' code, or ``'mean'``, with which numbers compare between maps of
            different sizes.

    Returns:
        Scalar, at least float32.

    Source: ScaleKD, Eq. 1; the directions ("features are standardised") are those of their code.
    """
    student, teacher = (F.normalize(at_least_float32(maps), dim=1) for maps in (student_NCHW, teacher_NCHW))
    distance_NHW = (student - teacher).square().sum(1)
    return distance_NHW.mean() if over_positions == 'mean' else distance_NHW.sum() / len(distance_NHW)


@torch.no_grad()
def alternative_distance(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """How far two maps are apart without their direct component, mean over positions: a scalar that trains nothing.

    It can be asked of a training that has no such view. Source: ScaleKD, Figures 3 and 6.
    """
    return mimicking_loss(*(alternative(at_least_float32(maps)) for maps in (student_NCHW, teacher_NCHW)), 'mean')


class View(NamedTuple):
    """One way of looking at maps, with projectors of its own.

    Attributes:
        see: From maps to what is compared of them.
        factor: Of its :func:`mimicking_loss`.
    """

    see: Callable[[Tensor], Tensor]
    factor: float

    def compare(self, student_NCHW: Tensor, teacher_NCHW: Tensor, over_positions: str) -> Tensor:
        """Its part of the loss."""
        seen = (self.see(at_least_float32(maps)) for maps in (student_NCHW, teacher_NCHW))
        return self.factor * mimicking_loss(*seen, over_positions)


def views(alpha: float, beta: float, *, dfm: bool, dual_path: bool, first_view: str) -> dict[str, View]:
    """The views of a loss, by name; one of factor 0 is left out.

    Args:
        alpha, beta: The first view has the factor ``alpha beta``, the second one ``alpha (1 - beta)``; a single one
            has alpha.
        dfm: Whether a second view sees the maps without their direct component.
        dual_path: Whether a second view sees all of them, in place of that (Table 9c).
        first_view: What the first view sees: ``'all'``, or ``'dir'``, the direct component alone (Table 17).

    Source: ScaleKD, Eq. 3.
    """
    first = direct if first_view == 'dir' else _all
    if not (dfm or dual_path):
        return {'original': View(first, alpha)}
    second = {'alternative': View(alternative, alpha * (1 - beta))} if dfm else {
        'second': View(_all, alpha * (1 - beta))}
    return {name: view for name, view in ({'original': View(first, alpha * beta)} | second).items() if view.factor}


def _all(maps_NCHW: Tensor) -> Tensor:
    return maps_NCHW
