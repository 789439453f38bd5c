import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.relation import RelationLoss, check_batch
from mmamd.distillation.outputs import Outputs


class Sum(RelationLoss):
    """Tells what it is given."""

    def relate(self, student_ND, teacher_ND):
        return student_ND.sum() + 10 * teacher_ND.sum()


class First(Sum):
    form = staticmethod(lambda state, images: state[:, 0])


def outputs(name, state):
    return Outputs(nn.Sequential(), torch.zeros(1, 3, 8, 8), [], None, {name: state})


@pytest.mark.parametrize('kind, expected', [
    (Sum, 2 * 3 + 10 * 2 * 4),  # the mean over positions: 2 images of 3 and of 4 channels
    (First, 2 * 16 + 10 * 2 * 4)])  # 16 elements of the first channel; the first token
def test_vectors_are_made_of_the_states_of_each_teacher(kind, expected):
    term = kind(layer=('own', 'other'))
    student, teachers = outputs('own', torch.ones(2, 3, 4, 4)), [outputs('other', torch.ones(2, 17, 4))] * 2
    teachers[1] = outputs('last', torch.zeros(2, 17, 4))
    term.pairs = [[('own', 'other')], [('own', 'last')]]
    term.build(student, teachers, 0)
    assert term.compare(student, teachers[0], 0).item() == expected
    assert term.compare(student, teachers[1], 1).item() == expected % 80


def test_a_state_that_has_no_such_vectors_is_refused_by_name():
    term = Sum(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    with pytest.raises(ValueError, match=r"'own' of the student: a state of shape \(2, 12, 3\) cannot be made maps"):
        term.build(outputs('own', torch.ones(2, 12, 3)), [outputs('other', torch.ones(2, 4))], 0)


@pytest.mark.parametrize('student, teacher', [((3, 2), (2, 2)), ((2, 5, 3), (2, 5)), ((2, 5), (2, 5, 3)), ((2,), (2,))])
def test_what_is_no_vector_an_image_is_refused(student, teacher):
    with pytest.raises(ValueError, match=r'need a vector of each image of both networks, \(N, D\) with one N'):
        check_batch(torch.zeros(student), torch.zeros(teacher))


def test_vectors_of_one_number_of_images_may_differ_in_length():
    check_batch(torch.zeros(3, 2), torch.zeros(3, 5))
