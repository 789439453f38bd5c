"""Optimal selection: which candidate becomes the teacher assistant, judged without training a student.

A rule is a pure function of the candidates' scales and performances and of the reference's; the choice is the
candidate of the largest score. :func:`select` tabulates every rule, so that a changed rule is a :func:`replay` of the
table and not a new training.

Legend: B bootstrap draws, I candidates. ``values`` may have shape (I,) or (B, I), so one formula serves the
measured performance and its bootstrap draws.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmamd.structures import Measurement, Selection, scale_key

LEVEL = 0.95  # coverage of every interval that is reported
RULES = ('npsd', 'npsd_local', 'lambda_tradeoff', 'manual')
NAMED_SCALES = {'smallest': 0, 'largest': -1}  # what manual understands -> place among the eligible candidates
# Scores closer than this are equal. Rounding of the secants is about 1e-15; one image in a million moves a score by
# 1e-6, so no difference that was measured is called a tie.
TIE = 1e-9


# --- the rules ---

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


def npsd_local(scales: ArrayLike, values: ArrayLike, reference_scale: float, reference_value: ArrayLike) -> NDArray:
    """:func:`npsd` with the derivative to the next larger candidate; the last one's neighbour is the reference.

    ``-(P_{i+1} - P_i) / (S_{i+1} - S_i)``. Arguments and result as for :func:`npsd`; scales ascend.
    """
    values = np.asarray(values)
    next_values = np.concatenate([values[..., 1:], np.asarray(reference_value)[..., None]], axis=-1)
    next_scales = np.append(np.asarray(scales)[1:], reference_scale)
    return -(next_values - values) / (next_scales - np.asarray(scales))


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
    values = np.asarray(values)
    performances = np.append(values, reference_value)
    refused = performances[~((0 <= performances) & (performances <= 1))]
    if refused.size:
        raise ValueError(f'lambda_tradeoff weighs performance against scale and needs fractions in [0, 1], got '
                         f'{refused[0]}; divide percentages by 100, or use the rule npsd, which needs no unit')
    return values + lam * (1 - np.asarray(scales))


def manual(eligible: Sequence[float], scale: float | str) -> float:
    """The eligible scale that a user names: a number, ``'smallest'`` or ``'largest'``.

    Args:
        eligible: Scales to choose from, ascending.

    Raises:
        ValueError: ``scale`` is none of them.
    """
    if scale in NAMED_SCALES:
        return eligible[NAMED_SCALES[scale]]
    for candidate in eligible:
        if not isinstance(scale, str) and scale_key(candidate) == scale_key(scale):
            return candidate
    raise ValueError(f"rule='manual' got scale={scale!r}; expected 'smallest', 'largest' or one of the eligible "
                     f'scales {_listed(eligible)}')


# --- the choice ---

def select(measurements: list[Measurement], reference: Measurement, student_scale: float, rule: str = 'npsd',
           lam: float = 0.2, scale: float | str | None = None) -> Selection:
    """Choose the teacher assistant among the candidates with S_student < S_i < S_reference.

    The largest score wins, ties go to the smaller scale. Every rule that can be computed is tabulated;
    ``lambda_tradeoff`` is left out of the table where performances are no fractions.

    Args:
        measurements: Every candidate, strictly ascending by scale, all read at one checkpoint on one split.
        reference: The measurement that the derivative is taken to, the teacher as a rule.
        student_scale: Scale of the final student.
        rule: ``'npsd'``, ``'npsd_local'``, ``'lambda_tradeoff'`` or ``'manual'``.
        lam: Of ``lambda_tradeoff``.
        scale: The choice of ``manual``, see :func:`manual`.

    Raises:
        ValueError: An unknown rule, no eligible candidate, a manual scale that is no eligible candidate, a ``scale``
            given to another rule, performances that are not finite, measurements that do not ascend, or bootstrap
            draws that cannot be paired.
    """
    check_rule(rule, scale, lam)
    _check_measurements(measurements, reference)
    eligible = [i for i, m in enumerate(measurements)
                if _rounded(student_scale) < _rounded(m.scale) < _rounded(reference.scale)]
    if not eligible:
        raise ValueError(f'no candidate lies between the student ({student_scale}) and the reference '
                         f'({reference.scale}); the candidates are {_listed(m.scale for m in measurements)}. Add '
                         'candidates above the student, or make the student smaller')
    candidates = [measurements[i] for i in eligible]
    scales = [m.scale for m in candidates]
    scores = {name: _score(name, candidates, reference, lam) for name in _computable_rules(candidates, reference)}
    if rule == 'manual':
        assistant, found = manual(scales, scale), []
    else:
        if rule not in scores:
            _score(rule, candidates, reference, lam)  # raises, naming the performance that is no fraction
        chosen = _first_largest(scores[rule])
        assistant = scales[chosen]
        found = [*_edge_warnings(scales, chosen), *_noise_warnings(rule, candidates, reference, chosen, lam)]
    return Selection(
        rule=rule, assistant=assistant, reference=reference, student_scale=student_scale, measurements=measurements,
        scores={name: _scatter(score.tolist(), eligible, len(measurements)) for name, score in scores.items()},
        warnings=[*found, *_positive_warnings(candidates, reference, scores['npsd'])], lam=lam)


def replay(selection: Selection, rule: str, lam: float | None = None, scale: float | str | None = None) -> Selection:
    """Decide anew from a saved table; nothing is trained or evaluated. Arguments and errors as for :func:`select`."""
    return select(selection.measurements, selection.reference, selection.student_scale, rule,
                  selection.lam if lam is None else lam, scale)


def check_rule(rule: str, scale: float | str | None = None, lam: float = 0.2) -> None:
    """What can be known to be wrong with the options of :func:`select` before anything is trained.

    Raises:
        ValueError: An unknown rule, ``manual`` without a scale or with an unknown word for one, a scale given to
            another rule, or a ``lam`` that is negative or not finite.
    """
    if rule not in RULES:
        raise ValueError(f'unknown rule {rule!r}; expected one of {", ".join(RULES)}')
    if rule == 'manual' and (scale is None or isinstance(scale, str) and scale not in NAMED_SCALES):
        raise ValueError(f"rule='manual' needs the scale of a candidate, 'smallest' or 'largest'; got scale={scale!r}")
    if rule != 'manual' and scale is not None:
        raise ValueError(f"scale={scale!r} is read by rule='manual' alone, got rule={rule!r}; drop one of them")
    if not 0 <= lam < math.inf:
        raise ValueError(f'lam must be a finite number >= 0, got {lam}; 0.2 is usual')


def _check_measurements(measurements: list[Measurement], reference: Measurement) -> None:
    scales = [m.scale for m in measurements]
    if any(_rounded(a) >= _rounded(b) for a, b in zip(scales, scales[1:], strict=False)):
        raise ValueError(f'measurements must ascend strictly by scale, got {_listed(scales)}; sort them and measure '
                         'each scale once')
    for m in (*measurements, reference):
        if not np.isfinite([m.scale, m.value, *m.resampled]).all():
            raise ValueError(f'the measurement at scale {m.scale} has a number that is not finite (value {m.value}); '
                             'the joint training diverged or the metric failed, so nothing can be selected')
    draws = sorted({len(m.resampled) for m in (*measurements, reference)})
    if len(draws) > 1 or draws == [1]:
        raise ValueError('bootstrap draws are paired: every measurement and the reference need the same number of '
                         f'them, none or at least two; got {draws}')


def _computable_rules(candidates: list[Measurement], reference: Measurement) -> list[str]:
    fractions = all(0 <= m.value <= 1 for m in (*candidates, reference))
    return ['npsd', 'npsd_local'] + ['lambda_tradeoff'] * fractions


def _formula(rule: str, lam: float):
    return {'npsd': npsd, 'npsd_local': npsd_local, 'lambda_tradeoff': partial(lambda_tradeoff, lam=lam)}[rule]


def _score(rule: str, candidates: list[Measurement], reference: Measurement, lam: float) -> NDArray:
    """Scores of the measured performances, shape (I,)."""
    return _formula(rule, lam)([m.scale for m in candidates], [m.value for m in candidates],
                               reference.scale, reference.value)


def _score_draws(rule: str, candidates: list[Measurement], reference: Measurement, lam: float) -> NDArray:
    """Scores recomputed in every bootstrap draw, shape (B, I)."""
    values_BI = np.array([m.resampled for m in candidates]).T
    return _formula(rule, lam)([m.scale for m in candidates], values_BI, reference.scale,
                               np.array(reference.resampled))


def _first_largest(scores: NDArray) -> int:
    return int(np.flatnonzero(scores >= scores.max() - TIE)[0])


# --- what a reader must know before trusting the choice ---

def _edge_warnings(scales: list[float], chosen: int) -> list[str]:
    if len(scales) == 1:
        return [f'{scale_key(scales[0])} is the only eligible candidate, so the rule had nothing to choose from; use '
                'more candidates']
    edge = {0: 'smallest', len(scales) - 1: 'largest'}.get(chosen)
    if edge is None:
        return []
    return [f'the choice {scale_key(scales[chosen])} is the {edge} eligible candidate: the optimum may lie beyond the '
            'grid; a finer grid at that end would tell']


def _noise_warnings(rule: str, candidates: list[Measurement], reference: Measurement, chosen: int,
                    lam: float) -> list[str]:
    if not reference.resampled:
        return ['there are no bootstrap draws, so it is unknown whether the choice is within noise of another']
    draws_BI = _score_draws(rule, candidates, reference, lam)
    rivals = [m.scale for i, m in enumerate(candidates)
              if i != chosen and _contains_zero(draws_BI[:, chosen] - draws_BI[:, i])]
    if not rivals:
        return []
    return [f'the choice {scale_key(candidates[chosen].scale)} is within noise of {_listed(rivals)}: the {LEVEL:.0%} '
            f'interval of the difference in {rule} contains 0 (paired bootstrap, {len(draws_BI)} draws)']


def _positive_warnings(candidates: list[Measurement], reference: Measurement, scores: NDArray) -> list[str]:
    better = [i for i, score in enumerate(scores) if score > TIE]
    if not better:
        return []
    text = (f'{_listed(candidates[i].scale for i in better)} did better than the reference (a positive npsd): the '
            'teacher is undertrained on this task, or the difference is noise. npsd divides a gain by the scale '
            'removed, so it then favours candidates near the teacher over equally good smaller ones')
    if reference.resampled:
        draws_BI = _score_draws('npsd', candidates, reference, lam=0.0)
        noise = [candidates[i].scale for i in better if _contains_zero(draws_BI[:, i])]
        text += f'. Within noise of the reference: {_listed(noise) if noise else "none of them"}'
    return [text]


# --- bootstrap ---

def interval(resampled: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval (low, high) of bootstrap draws.

    Raises:
        ValueError: There are fewer than two draws, or ``level`` lies outside (0, 1).
    """
    _check_draws(resampled)
    if not 0 < level < 1:
        raise ValueError(f'level must lie in (0, 1), got {level}; 0.95 is usual')
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def standard_error(resampled: ArrayLike) -> float:
    """Standard deviation of the bootstrap draws, with B - 1 in the denominator.

    Raises:
        ValueError: There are fewer than two draws.
    """
    _check_draws(resampled)
    return float(np.std(resampled, ddof=1))


def score_intervals(selection: Selection) -> dict[str, list[tuple[float, float] | None]]:
    """Bootstrap interval of every score of the table; None where there is no score or there are no draws."""
    eligible = [i for i, score in enumerate(selection.scores['npsd']) if score is not None]
    nothing = [None] * len(selection.measurements)
    if not selection.reference.resampled:
        return {name: list(nothing) for name in selection.scores}
    candidates = [selection.measurements[i] for i in eligible]
    intervals = {}
    for name in selection.scores:
        draws_BI = _score_draws(name, candidates, selection.reference, selection.lam)
        intervals[name] = _scatter([interval(draws) for draws in draws_BI.T], eligible, len(nothing))
    return intervals


def _check_draws(resampled: ArrayLike) -> None:
    if np.size(resampled) < 2:
        raise ValueError(f'a bootstrap needs at least two draws, got {np.size(resampled)}; resample the split again')


def _contains_zero(draws: NDArray) -> bool:
    low, high = interval(draws)
    return low <= 0 <= high


def _scatter(items: list, places: list[int], length: int) -> list:
    """A list with ``items`` at ``places`` and None elsewhere."""
    at = dict(zip(places, items, strict=True))
    return [at.get(i) for i in range(length)]


def _rounded(scale: float) -> float:
    """Scales are the same when their names are, so 0.1 + 0.2 is the student's 0.3."""
    return float(scale_key(scale))


def _listed(scales) -> str:
    return ', '.join(scale_key(scale) for scale in scales) or 'none'
