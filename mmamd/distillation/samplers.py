"""Which candidates one joint step trains."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar('T')
SAMPLERS = ('all', 'sandwich', 'random')


def sample_candidates(candidates: Sequence[T], sampler: str, num_random: int, seed: int, iteration: int) -> list[T]:
    """Candidates of one step, in ascending order.

    A function of its arguments alone: ranks that drew differently would mix gradients of different sub-networks.

    Args:
        candidates: Ascending by scale.
        sampler: ``'all'`` (AMD, supplement Algorithm 1), ``'sandwich'`` (smallest, largest and ``num_random`` of the
            others), or ``'random'`` (``num_random`` of all).
        num_random: How many to draw without replacement; more than there are takes all.
        seed: Seed of the run.
        iteration: Number of the training iteration.
    """
    rng = np.random.default_rng([seed, iteration])
    if sampler == 'all':
        return list(candidates)
    if sampler == 'random':
        always, drawable = [], range(len(candidates))
    else:
        always, drawable = sorted({0, len(candidates) - 1}), range(1, len(candidates) - 1)
    drawn = rng.permutation(np.asarray(drawable, dtype=int))[:num_random].tolist()
    return [candidates[i] for i in sorted([*always, *drawn])]


def check_sampler(sampler: str, num_random: int) -> None:
    """Raise ValueError for an unknown sampler or a number of draws that trains nothing."""
    if sampler not in SAMPLERS:
        raise ValueError(f'unknown candidate sampler {sampler!r}; expected one of {SAMPLERS}')
    least = 1 if sampler == 'random' else 0
    if not isinstance(num_random, int) or num_random < least:
        raise ValueError(f'num_random must be an integer of at least {least} for sampler={sampler!r}, got {num_random}')
