import pytest

from mmamd.distillation.losses.distpro.pathways import Pathway, lay_pathways


def test_a_level_of_the_student_is_taught_by_the_teachers_levels_that_are_not_above_it():
    # Teacher-major, as in the authors' code: n (n + 1) / 2 of them.
    assert lay_pathways('student_ge_teacher', 3) == ((0, 0, 'auto'), (0, 1, 'auto'), (0, 2, 'auto'), (1, 1, 'auto'),
                                                     (1, 2, 'auto'), (2, 2, 'auto'))
    assert [len(lay_pathways('student_ge_teacher', levels)) for levels in (4, 5)] == [10, 15]


def test_the_other_rules():
    assert {each[:2] for each in lay_pathways('teacher_ge_student', 2)} == {(0, 0), (1, 0), (1, 1)}
    assert {each[:2] for each in lay_pathways('all', 2)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_pathways_as_they_are_given_and_their_names():
    found = lay_pathways([(1, 0), [0, 1, 'cnn']], 2)
    assert found == (Pathway(1, 0), Pathway(0, 1, 'cnn'))
    assert [each.name for each in found] == ['t1-s0', 't0-s1/cnn']


@pytest.mark.parametrize('rule, message', [
    ('up', r"rule must say which pathways there are, got 'up'; expected one of \['student_ge_teacher'"),
    ([], r'rule leaves no pathway, got \[\]'),
    ([(0, 0), (0, 0)], 'rule has the pathway t0-s0 more than once'),
    ([(0, 1, 'mlp')], r"rule has \(0, 1, 'mlp'\), which is no pathway"),
    ([(0, True)], r'rule has \(0, True\), which is no pathway'),
    ([(0, 3)], r'the pathway t0-s3 needs a level that is not there; expected numbers within 0..1')])
def test_what_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        lay_pathways(rule, 2)
