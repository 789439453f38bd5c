"""What terms compute beside whole passes is planned."""

import pytest
from mmengine.registry import DefaultScope

from mmamd.distillation import SandwichSparsityHook
from mmamd.methods import AMD, KD
from mmamd.pipeline.stages.expected import expected_number

SCALEKD = {'model.losses.scalekd.type': 'mmamd.ScaleKDLoss'}
WITHOUT = {**SCALEKD, 'model.losses.scalekd.weight': 0.}


@pytest.mark.parametrize('method, stage, candidates', [(KD(), 'student', 1), (AMD(candidates='joint'), 'joint', 3)])
def test_what_a_term_computes_is_planned_of_every_candidate(planned, method, stage, candidates):
    def epoch(**overrides):
        context = planned(method, **overrides)
        training, = (each for each in context.stages if each.name == stage)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            planned_macs, terms = training.macs_of(context, 1), training.untrained(context).terms
        return planned_macs, terms['scalekd'].macs if 'scalekd' in terms else 0

    (with_it, macs), (without, nothing) = epoch(**SCALEKD), epoch(**WITHOUT)
    assert nothing == 0 < macs
    assert with_it - without == pytest.approx(163 * candidates * macs)  # images of an epoch


@pytest.mark.parametrize('settings, expected', [
    (dict(sampler='all'), 9), (dict(sampler='sandwich', num_random=2), 4), (dict(sampler='random'), 1)])
def test_number_of_candidates_of_a_step_is_that_of_the_hooks_sampler(settings, expected):
    assert expected_number([i / 10 for i in range(1, 10)], SandwichSparsityHook(**settings)) == expected
