"""What a step is planned to cost."""

import pytest

from mmamd.distillation import SandwichSparsityHook
from mmamd.pipeline.stages.distil import expected_scale_sum

NINE = [i / 10 for i in range(1, 10)]


@pytest.mark.parametrize('settings, expected', [
    (dict(sampler='all'), 4.5), (dict(sampler='sandwich'), 0.1 + 0.9 + 0.5), (dict(sampler='random', num_random=2), 1.),
    (dict(sampler='smallest_random'), 0.1 + 0.55), ({}, 0.1 + 0.55)])
def test_summed_scale_of_a_step_is_that_of_the_hooks_sampler(settings, expected):
    hook = SandwichSparsityHook(halve_after=[1], **settings)
    assert expected_scale_sum(NINE, hook) == pytest.approx(expected, rel=0.06)  # the mean of a hundred draws


def test_without_a_hook_a_step_trains_all():
    assert expected_scale_sum(NINE, None) == pytest.approx(4.5)
