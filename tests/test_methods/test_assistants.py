"""Methods that train assistants: how many trainings, from which weights, at what cost, of which scales."""

import pytest

from mmamd.methods import AMD, KD
from mmamd.methods.dgkd import DGKD
from mmamd.methods.joint_manual import JointManual
from mmamd.methods.mmd import MMD
from mmamd.methods.mmd_os import MMDOS
from mmamd.methods.multi_teacher import MultiTeacher
from mmamd.methods.takd import TAKD
from mmamd.pipeline.stages.budget import BEYOND, plain_run

FOUR = {'compression.num_candidates': 5}  # 1/6 is below the student of 0.3, and four lie above
REFIT = {'compression.refit': dict(num_images=64, num_images_candidates=32), 'compression.budget': 12.}
OTHER = {'compression.student_architecture': dict(
    type='ImageClassifier', backbone=dict(type='mmamd.CifarResNet', depth=8),
    neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=10, in_channels=64))}
APART = [MMD, MMDOS, TAKD, DGKD, MultiTeacher]
EVERY = pytest.mark.parametrize('method', [*APART, JointManual])


def trainings(context):
    return [stage for stage in context.stages if stage.kind == 'distil']


@pytest.mark.parametrize('method, number', [
    (KD(), 1), (AMD(), 2), (AMD(num_assistants=2), 3), (MMDOS(), 4 + 1), (TAKD(), 4 + 1), (DGKD(), 4 + 1),
    (JointManual(), 1 + 4), (MMD(), 2 * 4), (MultiTeacher(), 4 + 4 + 1)], ids=str)
def test_trainings_for_four_candidates(planned, method, number):
    context = planned(method, **FOUR)
    assert len(context.settings.compression.family_scales) == 1 + 4
    assert len(trainings(context)) == number


@EVERY
def test_fewer_assistants_are_fewer_trainings(planned, method):
    named = [len(trainings(planned(method(assistants=scales)))) for scales in (None, (0.5,))]
    assert named == {MMD: [4, 2], MultiTeacher: [5, 3]}.get(method, [3, 2])


@EVERY
def test_every_training_starts_from_refit_weights_where_a_refit_is_configured(planned, method):
    context = planned(method(), **REFIT)
    starts = {stage.name: stage.start for stage in trainings(context)}
    assert [stage.name for stage in context.stages if stage.kind == 'refit'] == ['refit']
    if method is JointManual:
        assert starts == {'joint': 'refit@0.30', 'student_0.50': 'joint@0.50', 'student_0.75': 'joint@0.75'}
        return
    if method is MultiTeacher:  # but one student goes on from what it has been
        assert (starts.pop('student_0.75'), starts.pop('student')) == ('student_0.50', 'student_0.75')
    assert starts == {name: f'refit@{name[-4:] if name.startswith("assistant") else "0.30"}' for name in starts}


@EVERY
def test_a_student_of_another_architecture_is_drawn_and_taught_by_the_same(planned, method):
    own, other = (trainings(planned(method(), **REFIT, **each)) for each in ({}, OTHER))
    assert [(stage.name, stage.teachers) for stage in own] == [(stage.name, stage.teachers) for stage in other]
    students = {stage.name: stage.start for stage in other if not stage.is_candidate}
    assert list(students) == [stage.name for stage in own if stage.name.startswith('student')]
    # Of several trainings of one student only the first draws it.
    assert set(students.values()) == {None, *(['student_0.50', 'student_0.75'] if method is MultiTeacher else [])}
    if method is not JointManual:  # whose joint stage starts from what is nearest to the student
        assert all('refit@0.30' != stage.start for stage in other)


@pytest.mark.parametrize('method', [MMDOS, DGKD, JointManual, MultiTeacher])
def test_a_run_costs_its_budget_to_half_an_epoch_of_each_training(planned, method):
    context = planned(method(), **REFIT)
    unit = plain_run(context)
    cost = sum(stage.macs(context) for stage in context.stages if stage.kind not in BEYOND) / unit
    epochs = sum(stage.macs_of(context, 2) - stage.macs_of(context, 1) for stage in trainings(context)) / unit
    assert cost == pytest.approx(12., abs=epochs / 2)
    assert all(stage.epochs(context) > stage.recipe_epochs for stage in trainings(context))


@pytest.mark.slow
@pytest.mark.parametrize('options, number', [
    ({'method.type': 'mmamd.TAKD', 'compression.refit': dict(num_images=64)}, 3),
    ({'method.type': 'mmamd.JointManual', 'compression.refit': dict(num_images=64)}, 3),
    ({'method.num_assistants': 2}, 3)])
def test_what_a_run_is_said_to_cost_is_what_its_trainings_compute(run_small, options, number):
    summary, counted = run_small(**{'joint.train_cfg.max_epochs': 1}, **options)
    assert summary['cost']['trainings'] == len(counted) == number
    assert {name: summary['stages'][name]['macs'] for name in counted} == counted


@pytest.mark.parametrize('method, assistants, message', [
    (MMD, (), r"must be the scales of at least one assistant, e.g. \[0.2, 0.5\], got \(\); without one it is plain "
              "distillation, method.type='mmamd.KD'"),
    (DGKD, (), r'must be the scales of at least one assistant, e.g. \[0.5, 0.2\], got \(\)'),
    (JointManual, (0.5, 0.75, 0.5), r'must name each scale once, got \[0.5, 0.75, 0.5\]; leave one 0.5 out'),
    (TAKD, (0.5, 0.75), r'must descend, each one being taught by larger ones, got \[0.5, 0.75\]; give \[0.75, 0.5\]'),
    (MMDOS, (0.5, 0.6), r'names the scale 0.6, which is no candidate above the student; expected some of \[0.5, 0.75'),
    (MultiTeacher, (0.3,), r'names the scale 0.3, which is no candidate above the student')])
def test_assistants_that_cannot_be_are_refused(lay, method, assistants, message):
    with pytest.raises(ValueError, match=f'method.assistants {message}'):
        lay(method(assistants=assistants))
