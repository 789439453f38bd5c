"""Which candidates one joint step trains."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from mmamd.structures import Candidate

T = TypeVar('T')
SAMPLERS = ('all', 'sandwich', 'smallest_random', 'random', 'falling', 'progressive')


def drawable(candidates: Sequence[T], below: float | None) -> list[T]:
    """The candidates of scales below a bound, and the student whatever its scale; None is no bound.

    Args:
        candidates: Ascending by scale, the student first; or their mere scales.
        below: The bound, which is not drawn itself.
    """
    return [each for i, each in enumerate(candidates) if i == 0 or below is None or scale_of(each) < below]


def sample_candidates(candidates: Sequence[T], sampler: str, num_random: int, seed: int, iteration: int,
                      done: float = 1.) -> list[T]:
    """Candidates of one step, in ascending order.

    A function of its arguments alone: ranks that drew differently would mix gradients of different sub-networks.

    Args:
        candidates: Ascending by scale; or their mere scales.
        sampler: ``'all'`` (AMD, supplement Algorithm 1), ``'sandwich'`` (smallest, largest and ``num_random`` of the
            others), ``'smallest_random'`` (smallest and ``num_random`` of the others), ``'random'`` (``num_random``
            of all), ``'falling'`` (the same, each draw with probabilities proportional to 1 / scale, so that steps
            are cheap on average), or ``'progressive'`` (``num_random`` of the larger ones, which become all: of n
            candidates the largest alone in the first n-th of the stage, one more in each that follows).
        num_random: How many to draw without replacement; more than there are takes all.
        seed: Seed of the run.
        iteration: Number of the training iteration.
        done: Share of the stage's iterations before it, below 1 while there is one; read by ``'progressive'`` alone.
    """
    if sampler == 'all':
        return list(candidates)
    if sampler == 'progressive':
        candidates = candidates[max(0, len(candidates) - 1 - int(done * len(candidates))):]
    always = {'sandwich': {0, len(candidates) - 1}, 'smallest_random': {0}}.get(sampler, set())
    others = [i for i in range(len(candidates)) if i not in always]
    rng = np.random.default_rng([seed, iteration])
    if sampler == 'falling':
        weights = np.array([1 / scale_of(each) for each in candidates])
        drawn = rng.choice(len(candidates), min(num_random, len(candidates)), replace=False,
                           p=weights / weights.sum()).tolist()
    else:
        drawn = rng.permutation(np.asarray(others, dtype=int))[:num_random].tolist()
    return [candidates[i] for i in sorted([*always, *drawn])]


def scale_of(candidate: Candidate | float) -> float:
    """Scale of a candidate, or of what is a mere scale."""
    return candidate.scale if isinstance(candidate, Candidate) else candidate


def halve(pool: Sequence[Candidate], losses: Sequence[float | None], teacher_scale: float) -> list[Candidate]:
    """The student and the better half of the other candidates, by a negative performance-scale derivative.

    With the divergence from the teacher in place of the lost performance, ``-KL_i / (S_T - S_i)``: what a candidate
    loses for each unit of scale that it saves. Of equal candidates the smaller one stays; of an odd number, the half
    that is larger.

    Args:
        pool: Ascending by scale, the student first.
        losses: Mean logit loss of each, at least 0; None for one that has not been trained, which ranks last.
        teacher_scale: Scale of the network that teaches, S_T, larger than those of the pool.
    """
    student, others = pool[0], list(zip(pool[1:], losses[1:], strict=True))
    ranked = sorted(others, key=lambda each: (
        float('inf') if each[1] is None else each[1] / (teacher_scale - each[0].scale), each[0].scale))
    kept = [candidate for candidate, _ in ranked[:(len(ranked) + 1) // 2]]
    return [student, *sorted(kept, key=lambda candidate: candidate.scale)]


def check_below(below: float | None) -> None:
    """Raise ValueError unless a bound of scales lies above 0 and is at most 1, or is None."""
    if below is not None and (isinstance(below, bool) or not isinstance(below, (int, float)) or not 0 < below <= 1):
        raise ValueError(f'below must be a scale above 0 and at most 1, or None for no bound, got {below!r}; e.g. '
                         'below=0.5')


def check_halvings(halve_after: Sequence[int]) -> None:
    """Raise ValueError unless the epochs are ascending positive integers."""
    epochs = list(halve_after)
    if any(isinstance(e, bool) or not isinstance(e, int) or e < 1 for e in epochs) or epochs != sorted(set(epochs)):
        raise ValueError(f'halve_after must be ascending numbers of epochs, counted from 1, got {halve_after}; e.g. '
                         'halve_after=[1, 2], or () to keep all candidates')


def check_sampler(sampler: str, num_random: int) -> None:
    """Raise ValueError for an unknown sampler or a number of draws that trains nothing."""
    if sampler not in SAMPLERS:
        raise ValueError(f'unknown candidate sampler {sampler!r}; expected one of {SAMPLERS}')
    least = 0 if sampler in ('all', 'sandwich') else 1
    if not isinstance(num_random, int) or num_random < least:
        raise ValueError(f'num_random must be an integer of at least {least} for sampler={sampler!r}, got '
                         f'{num_random}; 1 is usual')
