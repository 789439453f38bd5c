"""The choice of one network among several, from what was measured of them, and what to know before trusting it.

Every rule that can be computed is tabulated, so that a changed rule is a :func:`replay` of the table and not a new
training.

Legend: B bootstrap draws, I networks.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmamd.nearest import did_you_mean
from mmamd.selection.bootstrap import LEVEL, contains_zero, interval
from mmamd.selection.rules import RULES, check_fractions
from mmamd.structures import Measurement, Selection, scale_key

MANUAL = 'manual'  # the choice that is no rule: a user names it
# Choices that go by the intervals of a rule's scores -> that rule. A smaller assistant makes every step of what is left
# of a run cheaper: of the networks whose intervals overlap the best one's, the smallest is chosen.
CHEAPEST = {'npsd_cost': 'npsd'}
NAMED_SCALES = {'smallest': 0, 'largest': -1}  # what manual understands -> place among the eligible candidates
# Scores closer than this are equal. Rounding of the secants is about 1e-15; one image in a million moves a score by
# 1e-6, so no difference that was measured is called a tie.
TIE = 1e-9


def choose(measurements: list[Measurement], reference: Measurement, above: float | None, rule: str = 'npsd',
           lam: float = 0.2, scale: float | str | None = None) -> Selection:
    """Choose the network of the largest score; of equal ones the first, that is the smaller.

    Networks can be chosen whose scale lies between ``above`` and the reference's. Of the rules those are tabulated
    that can be computed: by scale where scales differ, in fractions where performances are such.

    Args:
        measurements: Every network, ascending by scale, all read on one split, candidates at one checkpoint.
        reference: The measurement that the derivative is taken to, the teacher as a rule.
        above: Scale that the choice must exceed, the student's as a rule; None for no such bound.
        rule: A name of :data:`mmamd.selection.rules.RULES`, or ``'manual'``.
        lam: Of rules that weigh the scale.
        scale: The choice of ``manual``, see :func:`manual`.

    Raises:
        ValueError: An unknown rule, nothing to choose from, nothing that has not collapsed, a manual scale that is
            not eligible, a ``scale`` given to another rule, performances that are not finite, scales that do not
            ascend, or bootstrap draws that cannot be paired.
    """
    check_rule(rule, scale, lam)
    _check_measurements(measurements, reference)
    eligible = [i for i, m in enumerate(measurements) if above is None or
                _rounded(above) < _rounded(m.scale) < _rounded(reference.scale)]
    if not eligible:
        raise ValueError(f'no candidate lies between the student ({above}) and the reference ({reference.scale}); the '
                         f'candidates are {_listed(measurements)}. Add candidates above the student, or make the '
                         'student smaller')
    eligible = _sound(measurements, eligible)
    candidates = [measurements[i] for i in eligible]
    by_scale = _differ_by_scale(candidates, reference)
    scored_by = CHEAPEST.get(rule, rule)
    if not by_scale and is_by_scale(rule):
        raise ValueError(f'rule={rule!r} tells networks apart by their scales, but those of {_listed(candidates)} are '
                         f"not distinct or not below the reference's, {reference.scale}; choose by rule='best'")
    scores = {name: _score(name, candidates, reference, lam)
              for name in _computable_rules(candidates, reference, by_scale, scored_by)}
    if rule == MANUAL:
        chosen, found = _manual(candidates, scale), []
    else:
        if scored_by not in scores:
            check_fractions(rule, [m.value for m in candidates], reference.value)  # raises: it is what is missing
        chosen = _first_largest(scores[scored_by])
        if rule in CHEAPEST and reference.resampled:
            chosen = _first_overlapping(_score_draws(scored_by, candidates, reference, lam), chosen)
        found = _edge_warnings(candidates, chosen) if by_scale else []
        found += _noise_warnings(scored_by, candidates, reference, chosen, lam)
    found = [*_collapse_warnings(measurements), *found]
    if 'npsd' in scores:
        found = [*found, *_positive_warnings(candidates, reference, scores['npsd'])]
    table = {name: _scatter([float(score) for score in values], eligible, len(measurements))
             for name, values in scores.items()}
    return Selection(rule, candidates[chosen].key, reference, above, measurements, table, found, lam)


def replay(selection: Selection, rule: str, lam: float | None = None,
           scale: float | str | None = None) -> Selection:
    """Decide anew from a saved table; nothing is trained or evaluated. Arguments and errors as for :func:`choose`."""
    return choose(selection.measurements, selection.reference, selection.above, rule,
                  selection.lam if lam is None else lam, scale)


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
                     f'scales {_listed_scales(eligible)}')


def _manual(candidates: list[Measurement], scale: float | str) -> int:
    scales = [m.scale for m in candidates]
    return scales.index(manual(scales, scale))


def check_rule(rule: str, scale: float | str | None = None, lam: float = 0.2) -> None:
    """What can be known to be wrong with the options of :func:`choose` before anything is trained.

    Raises:
        ValueError: An unknown rule, ``manual`` without a scale or with an unknown word for one, a scale given to
            another rule, or a ``lam`` that is negative or not finite.
    """
    known = (*RULES, *CHEAPEST, MANUAL)  # others may register rules
    if rule not in known:
        raise ValueError(f'unknown rule {rule!r}; expected one of {", ".join(known)}{did_you_mean(rule, known)}')
    if rule == MANUAL and (scale is None or isinstance(scale, str) and scale not in NAMED_SCALES):
        raise ValueError(f"rule='manual' needs the scale of a candidate, 'smallest' or 'largest'; got scale={scale!r}")
    if rule != MANUAL and scale is not None:
        raise ValueError(f"scale={scale!r} is read by rule='manual' alone, got rule={rule!r}; drop one of them")
    if not 0 <= lam < math.inf:
        raise ValueError(f'lam must be a finite number >= 0, got {lam}; 0.2 is usual')


def _check_measurements(measurements: list[Measurement], reference: Measurement) -> None:
    keys, scales = [m.key for m in measurements], [_rounded(m.scale) for m in measurements]
    if scales != sorted(scales) or len(set(keys)) != len(keys):
        raise ValueError(f'measurements must ascend strictly by scale, or have names, got {_listed(measurements)}; '
                         'sort them and measure each network once')
    for m in (*measurements, reference):
        if not np.isfinite([m.scale, m.value, *m.resampled]).all():
            raise ValueError(f'the measurement of {m.key} has a number that is not finite (value {m.value}); its '
                             'training diverged or the metric failed, so nothing can be selected')
    draws = sorted({len(m.resampled) for m in (*measurements, reference)})
    if len(draws) > 1 or draws == [1]:
        raise ValueError('bootstrap draws are paired: every measurement and the reference need the same number of '
                         f'them, none or at least two; got {draws}')


def _sound(measurements: list[Measurement], eligible: list[int]) -> list[int]:
    """Those of some networks that have not collapsed. Raises ValueError if all have."""
    sound = [i for i in eligible if measurements[i].collapsed is None]
    if not sound:
        each = '; '.join(f'{measurements[i].key}: {measurements[i].collapsed}' for i in eligible)
        raise ValueError(f'all candidates have collapsed, so none is chosen ({each}). Their training diverged, or was '
                         'too short or its learning rate too high; or the held-out labels are not those of the '
                         'training images, or the images are normalised otherwise. Look at the losses of the stage '
                         'that made them and redo it with --start-from')
    return sound


def _computable_rules(candidates: list[Measurement], reference: Measurement, by_scale: bool, rule: str) -> list[str]:
    """Rules of the table: those that speak of such networks, and the one that chooses."""
    fractions = all(0 <= m.value <= 1 for m in (*candidates, reference))
    return [name for name, each in RULES.items()
            if (each.by_scale == by_scale or name == rule) and (fractions or not each.fractions)]


def _score(rule: str, candidates: list[Measurement], reference: Measurement, lam: float) -> NDArray:
    """Scores of the measured performances, shape (I,)."""
    return RULES[rule].formula(lam)(np.array([m.scale for m in candidates]), np.array([m.value for m in candidates]),
                                    reference.scale, np.array(reference.value))


def _score_draws(rule: str, candidates: list[Measurement], reference: Measurement, lam: float) -> NDArray:
    """Scores recomputed in every bootstrap draw, shape (B, I)."""
    values_BI = np.array([m.resampled for m in candidates]).T
    return RULES[rule].formula(lam)(np.array([m.scale for m in candidates]), values_BI, reference.scale,
                                    np.array(reference.resampled))


def score_intervals(selection: Selection) -> dict[str, list[tuple[float, float] | None]]:
    """Bootstrap interval of every score of the table; None without a score, without draws, or of an unknown rule."""
    intervals = {}
    for name, scores in selection.scores.items():
        eligible = [i for i, score in enumerate(scores) if score is not None]
        if not selection.reference.resampled or name not in RULES:
            intervals[name] = [None] * len(scores)
            continue
        candidates = [selection.measurements[i] for i in eligible]
        draws_BI = _score_draws(name, candidates, selection.reference, selection.lam)
        intervals[name] = _scatter([interval(draws) for draws in draws_BI.T], eligible, len(scores))
    return intervals


def _first_largest(scores: NDArray) -> int:
    return int(np.flatnonzero(scores >= scores.max() - TIE)[0])


def _first_overlapping(draws_BI: NDArray, best: int) -> int:
    """The first network whose interval of the score overlaps that of the best."""
    lowest, _ = interval(draws_BI[:, best])
    return next(i for i, draws in enumerate(draws_BI.T) if interval(draws)[1] >= lowest)


def is_by_scale(rule: str) -> bool:
    """Whether a choice tells networks apart by their scales."""
    scored_by = CHEAPEST.get(rule, rule)
    return rule == MANUAL or scored_by in RULES and RULES[scored_by].by_scale


# --- what a reader must know before trusting the choice ---

def _collapse_warnings(measurements: list[Measurement]) -> list[str]:
    return [f'{m.key} has collapsed and cannot be chosen: {m.collapsed}' for m in measurements if m.collapsed]


def _edge_warnings(candidates: list[Measurement], chosen: int) -> list[str]:
    if len(candidates) == 1:
        return [f'{candidates[0].key} is the only eligible candidate, so the rule had nothing to choose from; use '
                'more candidates']
    edge = {0: 'smallest', len(candidates) - 1: 'largest'}.get(chosen)
    if edge is None:
        return []
    return [f'the choice {candidates[chosen].key} is the {edge} eligible candidate: the optimum may lie beyond the '
            'grid; a finer grid at that end would tell']


def _noise_warnings(rule: str, candidates: list[Measurement], reference: Measurement, chosen: int,
                    lam: float) -> list[str]:
    if not reference.resampled:
        return ['there are no bootstrap draws, so it is unknown whether the choice is within noise of another']
    rivals = _rivals(rule, candidates, reference, chosen, lam)
    if not rivals:
        return []
    return [f'the choice {candidates[chosen].key} is within noise of {_listed(rivals)}: the {LEVEL:.0%} '
            f'interval of the difference in {rule} contains 0 (paired bootstrap, {len(reference.resampled)} draws)']


def _rivals(rule: str, candidates: list[Measurement], reference: Measurement, chosen: int,
            lam: float) -> list[Measurement]:
    """Networks that the bootstrap cannot tell from the chosen one."""
    draws_BI = _score_draws(rule, candidates, reference, lam)
    return [m for i, m in enumerate(candidates)
            if i != chosen and contains_zero(draws_BI[:, chosen] - draws_BI[:, i])]


def rivals_of(selection: Selection) -> list[Measurement]:
    """Networks that a rule could have chosen as well, within noise; none where nobody knows, or a user chose."""
    rule = CHEAPEST.get(selection.rule, selection.rule)
    scores = selection.scores.get(rule)
    if scores is None or not selection.reference.resampled or rule not in RULES:
        return []
    candidates = [m for m, score in zip(selection.measurements, scores, strict=True) if score is not None]
    chosen = next(i for i, m in enumerate(candidates) if m.key == selection.chosen)
    return _rivals(rule, candidates, selection.reference, chosen, selection.lam)


def _positive_warnings(candidates: list[Measurement], reference: Measurement, scores: NDArray) -> list[str]:
    better = [i for i, score in enumerate(scores) if score > TIE]
    if not better:
        return []
    text = (f'{_listed([candidates[i] for i in better])} did better than the reference (a positive npsd): the '
            'teacher is undertrained on this task, or the difference is noise. npsd divides a gain by the scale '
            'removed, so it then favours candidates near the teacher over equally good smaller ones')
    if reference.resampled:
        draws_BI = _score_draws('npsd', candidates, reference, lam=0.0)
        noise = [candidates[i] for i in better if contains_zero(draws_BI[:, i])]
        text += f'. Within noise of the reference: {_listed(noise) if noise else "none of them"}'
    return [text]


def _differ_by_scale(candidates: Sequence[Measurement], reference: Measurement) -> bool:
    """Whether their scales are distinct and below the reference's, so that a derivative is defined."""
    scales = {_rounded(m.scale) for m in candidates}
    return len(scales) == len(candidates) and max(scales) < _rounded(reference.scale)


def _scatter(items: list, places: list[int], length: int) -> list:
    """A list with ``items`` at ``places`` and None elsewhere."""
    at = dict(zip(places, items, strict=True))
    return [at.get(i) for i in range(length)]


def _rounded(scale: float) -> float:
    """Scales are the same when their names are, so 0.1 + 0.2 is the student's 0.3."""
    return float(scale_key(scale))


def _listed(measurements: Sequence[Measurement]) -> str:
    return ', '.join(m.key for m in measurements) or 'none'


def _listed_scales(scales: Sequence[float]) -> str:
    return ', '.join(scale_key(scale) for scale in scales) or 'none'
