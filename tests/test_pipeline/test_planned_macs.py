"""What a step is planned to cost."""

import pytest
from mmengine.registry import DefaultScope

from mmamd.distillation import SandwichSparsityHook
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.expected import expected_scale_sum
from mmamd.pruning import rest_cost
from mmamd.structures import Cost
from mmamd.tasks.classification import Classification

NINE = [i / 10 for i in range(1, 10)]


@pytest.mark.parametrize('settings, expected', [
    (dict(sampler='all'), 4.5), (dict(sampler='sandwich'), 0.1 + 0.9 + 0.5), (dict(sampler='random', num_random=2), 1.),
    (dict(sampler='smallest_random'), 0.1 + 0.55), ({}, 0.1 + 0.55),
    # One of nine with probabilities proportional to 1 / scale: 9 / sum of 1 / scale.
    (dict(sampler='falling'), 9 / sum(1 / scale for scale in NINE)),
    # Below the bound are 0.1 to 0.4.
    (dict(sampler='all', below=0.5), 1.), (dict(sampler='sandwich', below=0.5), 0.1 + 0.4 + 0.25),
    (dict(sampler='falling', below=0.5), 4 / sum(1 / scale for scale in NINE[:4]))])
def test_summed_scale_of_a_step_is_that_of_the_hooks_sampler(settings, expected):
    hook = SandwichSparsityHook(halve_after=[1], **settings)
    assert expected_scale_sum(NINE, hook) == pytest.approx(expected, rel=0.06)  # the mean of a hundred draws


def test_summed_scale_of_a_progressive_step_is_the_mean_over_the_stage():
    # In its k-th ninth one of the k largest, whose mean is 0.9 - 0.05 (k - 1): on average 0.7.
    hook = SandwichSparsityHook(sampler='progressive')
    assert expected_scale_sum(NINE, hook) == pytest.approx(0.7, rel=0.06)


def test_without_a_hook_a_step_trains_all():
    assert expected_scale_sum(NINE, None) == pytest.approx(4.5)


@pytest.mark.parametrize('scales_backbone', [False, True])
def test_scales_are_of_the_whole_network_or_of_its_backbone(scales_backbone, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(Classification, 'scales_backbone', scales_backbone)
    cfg = tiny_config()
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path / 'nowhere', 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        whole = context.teacher_cost
    rest = rest_cost(context.network) if scales_backbone else Cost(0, 0)
    for candidate in context.flat_family.candidates:
        assert (candidate.cost - rest).macs <= candidate.scale * (whole - rest).macs
    assert context.macs_at(0.5) == 0.5 * (whole - rest).macs + rest.macs
    assert context.macs_at(0.5 + 1., 2) == pytest.approx(context.macs_at(0.5) + whole.macs)
