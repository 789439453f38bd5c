"""One student, taught by one after another."""

import pytest

from mmamd.files.checkpoint import read_checkpoint
from mmamd.methods.multi_teacher import MultiTeacher

EXTERNAL = {
    'compression.student_architecture': dict(
        type='ImageClassifier',
        backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap',
                      arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=64)),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=16)),
    'compression.student_scale': 0.15,
    'student.losses.feat': dict(layers=[('backbone.layers.0', 'backbone.layers.0')])}


def test_one_student_learns_from_each_in_turn_and_from_logits_last(lay):
    stages = lay(MultiTeacher())
    assert list(stages) == ['score', 'nest', 'assistant_0.50', 'assistant_0.75', 'student_0.50', 'student_0.75',
                            'student', 'export']
    laid = {name: (stages[name].teachers, stages[name].start, set(stages[name].losses)) for name in list(stages)[2:-1]}
    every = {'ce', 'logit', 'feat'}
    assert laid == {
        'assistant_0.50': (('nest',), 'nest', every), 'assistant_0.75': (('nest',), 'nest', every),
        'student_0.50': (('assistant_0.50',), 'assistant_0.50', {'ce', 'feat'}),
        'student_0.75': (('assistant_0.75',), 'student_0.50', {'ce', 'feat'}),
        'student': (('nest',), 'student_0.75', every)}
    assert stages['export'].delivered == ('student',)


def test_terms_that_wait_for_the_teacher_are_named(lay):
    stages = lay(MultiTeacher(last=()))
    assert set(stages['student_0.50'].losses) == {'ce', 'logit', 'feat'}


@pytest.mark.parametrize('last, overrides, message', [
    (('logits',), {}, r"has no term 'logits', which the method leaves out at times; expected one of "
                      r"\['ce', 'logit', 'feat'\]\. Did you mean logit"),
    (('logit', 'feat'), {}, r"without logit, feat, which the method leaves out at times, no term of student.losses "
                            r"asks a teacher, got \['ce'\]; add one that compares hidden states"),
    (('logit',), {'student.losses.feat.weight': 0.}, r"no term of student.losses asks a teacher, got \['ce', 'feat'")])
def test_terms_without_which_nobody_teaches_are_refused(lay, last, overrides, message):
    with pytest.raises(ValueError, match=message):
        lay(MultiTeacher(last=last), **overrides)


def test_a_student_of_another_architecture_goes_on_from_what_it_was(run_small, tmp_path):
    summary, counted = run_small(**{'method.type': 'mmamd.MultiTeacher', 'method.assistants': [0.5], **EXTERNAL})
    assert summary['cost']['trainings'] == len(counted) == 3
    assert {name: summary['stages'][name]['macs'] for name in counted} == counted
    first, second = (read_checkpoint(tmp_path / 'run' / name / 'trained.pth')['state_dict']
                     for name in ('student_0.50', 'student'))
    assert summary['student']['params'] == sum(value.numel() for value in second.values())
    # One step of AdamW at 2e-3 moves a weight by about that: a student that was drawn anew would be far away.
    assert max((value - second[key]).abs().max() for key, value in first.items()) < 0.05
