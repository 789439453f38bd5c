"""One student, taught by one after another."""

import pytest

from mmamd.methods.multi_teacher import MultiTeacher


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
