"""Epochs from a budget, counted in runs of plain distillation."""

import pytest
from mmengine.registry import DefaultScope

import mmamd
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.budget import BEYOND, plain_run, plan_of, stretched

REFIT = {'compression.refit': dict(num_images=64, num_images_candidates=32)}


@pytest.fixture
def planned(tiny_config, tmp_path):
    """Function from overrides of the tiny config to the context of a run whose stages are laid."""
    def of(**overrides):
        cfg = tiny_config(**overrides)
        context = Context(cfg, Settings.from_cfg(cfg), tmp_path / 'nowhere', 0, lambda *_: None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            context.stages = context.settings.method.stages(context)
        return context

    return of


def cost(context):
    return sum(stage.macs(context) for stage in context.stages if stage.kind not in BEYOND) / plain_run(context)


def stage(context, name):
    return next(each for each in context.stages if each.name == name)


def test_the_unit_is_plain_distillation_by_the_schedule_of_the_config(planned):
    context = planned(**{'method.type': 'mmamd.KD'})
    assert cost(context) == pytest.approx(1., rel=0.01)  # scales are planned, of units that do not divide
    # 3 epochs of 163 images, each taught by the whole network and trained at the student's size; and 64 scored ones.
    teacher, student = context.teacher_cost.macs, context.student_costs[0].macs
    assert plain_run(context) == pytest.approx(3 * 163 * (teacher + 3 * student) + 64 * 3 * teacher)


@pytest.mark.parametrize('budget', [2., 7.5])
@pytest.mark.parametrize('overrides', [
    {'method.type': 'mmamd.KD'}, {'method.type': 'mmamd.KD', **REFIT}, {'method.candidates': 'refit', **REFIT},
    {}, {'method.type': 'mmamd.MMD'},
    {'method.type': 'mmamd.KD', 'teacher_cache': dict(views=2), 'model.losses.feat.weight': 0.,
     'model.architecture.train_cfg': None}],
    ids=['KD', 'KD from refit', 'AMD, refit', 'AMD, joint', 'MMD', 'KD, kept teacher'])
def test_a_run_costs_its_budget_to_half_an_epoch_of_each_training(planned, budget, overrides):
    context = planned(**overrides, **{'compression.budget': max(budget, 4.) if 'MMD' in str(overrides) else budget})
    trainings = [each for each in context.stages if each.kind == 'distil']
    half_epochs = sum(each.macs_of(context, 2 * each.recipe_epochs) - each.macs_of(context, 2 * each.recipe_epochs - 1)
                      for each in trainings) / 2 / plain_run(context)
    assert cost(context) == pytest.approx(context.settings.compression.budget, abs=2 * half_epochs + 1e-9)


def test_a_training_goes_by_what_earlier_stages_have_really_spent(planned):
    context = planned(**{'method.type': 'mmamd.KD', 'compression.budget': 4.})
    epochs = stage(context, 'student').epochs(context)
    context.spent = {'score': 2 * plain_run(context)}.get  # half of the budget
    assert stage(context, 'student').epochs(context) == pytest.approx(epochs / 2, abs=1)


def test_without_a_budget_epochs_are_those_of_the_config(planned):
    context = planned()
    assert [stage(context, name).epochs(context) for name in ('joint', 'student')] == [3, 3]


def test_a_training_that_is_over_has_the_epochs_that_it_was_begun_with_and_refuses_nothing(planned):
    context = planned(**{'compression.budget': 3.})
    joint, student = stage(context, 'joint'), stage(context, 'student')
    context.planned = {'joint': joint.macs_of(context, 5), 'student': student.macs_of(context, 90)}.get
    context.spent = {'joint': 5 * joint.macs_of(context, 5), 'student': 0.9 * student.macs_of(context, 90)}.get
    assert (joint.epochs(context), student.epochs(context)) == (5, 90)


def test_joint_stage_and_student_keep_their_proportion(planned):
    context = planned(**{'compression.budget': 20., 'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 2})
    joint, student = (stage(context, name).epochs(context) for name in ('joint', 'student'))
    assert student == pytest.approx(2 * joint, abs=1) and joint > 3


def test_schedulers_are_stretched_with_the_epochs():
    warm_up = dict(type='LinearLR', by_epoch=True, begin=0, end=10, convert_to_iter_based=True)
    cosine = dict(type='CosineRestartLR', periods=[90], restart_weights=[1], by_epoch=True, begin=10, end=100)
    assert stretched([warm_up, cosine], 100, 40) == [
        dict(warm_up, end=4), dict(cosine, periods=[36], begin=4, end=40)]
    by_step = dict(type='LinearLR', by_epoch=False, begin=0, end=30)
    assert stretched([by_step], 100, 40) == [by_step]
    poly = dict(type='PolyLR', by_epoch=False, begin=30, end=300)
    assert stretched([by_step, poly], 100, 150) == [by_step, dict(poly, end=450)]
    assert stretched([dict(poly, begin=0)], 100, 150) == [dict(poly, begin=0, end=450)]
    cosine = dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=300, T_max=270)
    assert stretched([by_step, cosine], 100, 40) == [by_step, dict(cosine, end=120, T_max=90)]
    assert stretched([dict(type='StepLR', step_size=30)], 90, 9) == [dict(type='StepLR', step_size=3)]
    assert stretched(dict(type='OneCycleLR', total_steps=90), 90, 9) == dict(type='OneCycleLR', total_steps=9)
    assert stretched(dict(type='MultiStepLR', milestones=[60, 80]), 100, 1)['milestones'] == [1, 1]
    assert stretched(None, 100, 40) is None


def test_what_each_stage_will_cost_is_said_before_the_run(planned):
    first, *lines = plan_of(planned(**{'compression.budget': 3.}))
    assert first.startswith('plan: ') and 'runs of plain distillation' in first
    assert [line.split()[0] for line in lines] == ['score', 'nest', 'joint', 'select', 'student']
    assert lines[2].endswith('epochs') and sum(float(line.split()[1]) for line in lines) == pytest.approx(
        float(first.split()[1]), abs=0.01)


@pytest.mark.parametrize('budget, message', [
    (0, 'compression.budget must be a finite number above 0 or None, got 0'),
    ('2', "compression.budget must be a finite number above 0 or None, got '2'"),
    (0.01, r"compression.budget=0.01 leaves 0.00 epochs for the stage 'student', since all that no budget shortens "
           r'costs \d.\d\d runs of plain distillation; give at least \d.\d\d')])
def test_a_budget_that_leaves_nothing_is_refused_before_anything_is_written(tiny_config, tmp_path, budget, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**{'method.type': 'mmamd.KD', 'compression.budget': budget}),
                       work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
