"""Rules of selection: which network is the best choice, judged by scale and performance alone.

A rule is a pure function of the networks' scales and performances and of the reference's; the choice is the network of
the largest score. It takes bootstrap draws as well as measured values, so that intervals come for free.

Legend: B bootstrap draws, I networks. ``values`` may have shape (I,) or (B, I), so one formula serves the measured
performance and its bootstrap draws.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Rule:
    """A rule and how it is called.

    Attributes:
        score: ``score(scales, values, reference_scale, reference_value)``, arrays as :func:`npsd` takes them, and
            ``lam`` where it has that weight.
        label: Its name in pictures.
        unit: Unit of its scores.
        by_scale: Whether it compares networks by their scales, so that these must differ.
        fractions: Whether performances must be fractions.
    """

    score: Callable[..., NDArray]
    label: str
    unit: str
    by_scale: bool = True
    fractions: bool = False

    def formula(self, lam: float) -> Callable[..., NDArray]:
        """The score with its weight."""
        has_weight = 'lam' in inspect.signature(self.score).parameters
        return partial(self.score, lam=lam) if has_weight else self.score


RULES: dict[str, Rule] = {}


def known_as(name: str) -> Rule:
    """How a rule is called. One whose module has not been imported is called by its name, and cannot be computed."""
    return RULES.get(name) or Rule(_not_registered, name, 'score')


def _not_registered(*_) -> NDArray:
    raise ValueError('this rule is not registered here; import the module that registers it, by custom_imports in a '
                     'config')


def check_fractions(name: str, values: ArrayLike, reference_value: ArrayLike) -> None:
    """Raise ValueError if a performance that the rule of a name is given is no fraction."""
    performances = np.append(values, reference_value)
    refused = performances[~((0 <= performances) & (performances <= 1))]
    if refused.size:
        raise ValueError(f'{name} weighs performance against scale and needs fractions in [0, 1], got {refused[0]}; '
                         'divide percentages by 100, or use the rule npsd, which needs no unit')


def rule(label: str, unit: str, *, by_scale: bool = True, fractions: bool = False) -> Callable:
    """Register a score under its own name; arguments as the attributes of :class:`Rule`."""
    def register(score: Callable[..., NDArray]) -> Callable[..., NDArray]:
        RULES[score.__name__] = Rule(score, label, unit, by_scale, fractions)
        return score

    return register


@rule('NPSD', 'performance / scale')
def npsd(scales: ArrayLike, values: ArrayLike, reference_scale: float, reference_value: ArrayLike) -> NDArray:
    """Negative performance-scale derivative, as the secant to the teacher: ``-(P_T - P_i) / (S_T - S_i)``.

    Minus the performance lost per unit of scale removed; larger is better, and positive only for a candidate better
    than the teacher. Adding a constant to all performances changes nothing, a factor scales all scores alike.

    Args:
        scales: S_i, shape (I,), all below ``reference_scale``.
        values: P_i, shape (..., I).
        reference_scale: S_T.
        reference_value: P_T, shape (...).

    Returns:
        Shape (..., I), in performance per unit of scale.

    Source: AMD, Optimal Selection. The text names the quantity without printing it; the secant is our reading, because
    a local derivative always prefers the largest candidate of a concave curve (see :func:`npsd_local`).
    """
    return -(np.asarray(reference_value)[..., None] - np.asarray(values)) / (reference_scale - np.asarray(scales))


@rule('local NPSD', 'performance / scale')
def npsd_local(scales: ArrayLike, values: ArrayLike, reference_scale: float, reference_value: ArrayLike) -> NDArray:
    """:func:`npsd` with the derivative to the next larger candidate; the last one's neighbour is the reference.

    ``-(P_{i+1} - P_i) / (S_{i+1} - S_i)``. Arguments and result as for :func:`npsd`; scales ascend.
    """
    values = np.asarray(values)
    next_values = np.concatenate([values[..., 1:], np.asarray(reference_value)[..., None]], axis=-1)
    next_scales = np.append(np.asarray(scales)[1:], reference_scale)
    return -(next_values - values) / (next_scales - np.asarray(scales))


@rule('lambda trade-off', 'performance', fractions=True)
def lambda_tradeoff(scales: ArrayLike, values: ArrayLike, reference_scale: float, reference_value: ArrayLike,
                    lam: float = 0.2) -> NDArray:
    """Performance plus a bonus for sparsity: ``P_i + lam * (1 - S_i)``.

    Arguments and result as for :func:`npsd`; the reference is not part of the formula.

    Args:
        lam: Performance that one unit of removed scale is worth, >= 0. 0.2 is MiniDisc's.

    Raises:
        ValueError: A performance, the reference's included, is no fraction.

    Source: MiniDisc (Zhang et al. 2023), the trade-off that its code maximises.
    """
    check_fractions('lambda_tradeoff', values, reference_value)
    return np.asarray(values) + lam * (1 - np.asarray(scales))


@rule('performance', 'performance', by_scale=False)
def best(scales: ArrayLike, values: ArrayLike, reference_scale: float, reference_value: ArrayLike) -> NDArray:
    """The performance itself: of students that all have their final size, the best one.

    Arguments and result as for :func:`npsd`; neither scales nor the reference are part of it.

    Source: AMD, supplement 8 (MMD keeps the best of its students).
    """
    return np.asarray(values)
