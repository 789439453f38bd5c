"""Which candidates one joint step trains."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from mmamd.structures import Candidate

T = TypeVar('T')
SAMPLERS = ('all', 'sandwich', 'smallest_random', 'random')


def sample_candidates(candidates: Sequence[T], sampler: str, num_random: int, seed: int, iteration: int) -> list[T]:
    """Candidates of one step, in ascending order.

    A function of its arguments alone: ranks that drew differently would mix gradients of different sub-networks.

    Args:
        candidates: Ascending by scale.
        sampler: ``'all'`` (AMD, supplement Algorithm 1), ``'sandwich'`` (smallest, largest and ``num_random`` of the
            others), ``'smallest_random'`` (smallest and ``num_random`` of the others) or ``'random'`` (``num_random``
            of all).
        num_random: How many to draw without replacement; more than there are takes all.
        seed: Seed of the run.
        iteration: Number of the training iteration.
    """
    if sampler == 'all':
        return list(candidates)
    always = {'sandwich': {0, len(candidates) - 1}, 'smallest_random': {0}, 'random': set()}[sampler]
    drawable = [i for i in range(len(candidates)) if i not in always]
    rng = np.random.default_rng([seed, iteration])
    drawn = rng.permutation(np.asarray(drawable, dtype=int))[:num_random].tolist()
    return [candidates[i] for i in sorted([*always, *drawn])]


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
        raise ValueError(f'num_random must be an integer of at least {least} for sampler={sampler!r}, got {num_random}')
