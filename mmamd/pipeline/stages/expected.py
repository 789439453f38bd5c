"""What a joint step is expected to train, as far as it is drawn: what planned costs rest on."""

from collections.abc import Callable, Sequence
from functools import cache

from mmamd.distillation.samplers import drawable, sample_candidates
from mmamd.distillation.sandwich_hook import SandwichSparsityHook


def expected_scale_sum(scales: Sequence[float], sampler: SandwichSparsityHook | None) -> float:
    """Mean over steps of the summed scales that a joint step trains; the step's cost beside the teacher's.

    Of the whole pool: a halving makes a stage cheaper than that.
    """
    return _mean(sum, scales, sampler)


def expected_number(scales: Sequence[float], sampler: SandwichSparsityHook | None) -> float:
    """Mean over steps of how many candidates a joint step trains, of the whole pool."""
    return _mean(len, scales, sampler)


def _mean(measure: Callable, scales: Sequence[float], sampler: SandwichSparsityHook | None) -> float:
    if sampler is None:
        return measure(scales)
    return _drawn(measure, tuple(drawable(scales, sampler.below)), sampler.sampler, sampler.num_random)


@cache
def _drawn(measure: Callable, scales: tuple[float, ...], sampler: str, num_random: int) -> float:
    # Falling draws are rare where they are dear, so that their mean takes more of them.
    num = 2000 if sampler == 'falling' else 100
    return sum(measure(sample_candidates(scales, sampler, num_random, 0, i, i / num)) for i in range(num)) / num
