import math

import pytest
import torch
import torch.nn.functional as F

from mmamd.search.kd_zero.fitness import Fitness, linear_cka, sharpness, sharpness_gap


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sharpness_of_two_equal_logits_is_log_2():
    for centred in (True, False):
        assert sharpness(torch.zeros(3, 2), centred).item() == pytest.approx(math.log(2))
    assert sharpness(torch.tensor([[1., 1.]]), centred=False).item() == pytest.approx(1 + math.log(2))
    assert sharpness(torch.tensor([[1e4, -1e4]])).item() == 1e4


def test_a_constant_added_to_the_logits_counts_only_where_they_are_not_centred():
    student, teacher = drawn(4, 5), drawn(4, 5, seed=1)
    assert sharpness_gap(teacher, teacher).item() == 0
    torch.testing.assert_close(sharpness_gap(student + 3, teacher), sharpness_gap(student, teacher))
    torch.testing.assert_close(sharpness_gap(student + 3, teacher, 'paper_eq2', centred=False),
                               3 + sharpness_gap(student, teacher, 'paper_eq2', centred=False))


def test_signs():
    student, teacher = drawn(4, 5), 3 * drawn(4, 5)  # the teacher is sharper
    gaps = [sharpness_gap(student, teacher, sign).item() for sign in ('absolute', 'paper_eq2', 'teacher_minus_student')]
    assert gaps[0] == -gaps[1] == gaps[2] > 0
    with pytest.raises(ValueError, match="sign must be one of 'absolute', 'paper_eq2', .*got 'eq2'"):
        sharpness_gap(student, teacher, 'eq2')


def test_cka_is_symmetric_and_blind_to_rotation_scale_and_shift():
    x, y = drawn(9, 4), drawn(9, 6, seed=1)
    rotation, _ = torch.linalg.qr(drawn(4, 4, seed=2))
    assert linear_cka(x, x).item() == pytest.approx(1.)
    torch.testing.assert_close(linear_cka(x, y), linear_cka(y, x))
    torch.testing.assert_close(linear_cka(x, y), linear_cka(5 * x @ rotation + 2, y))
    # The other form of it, of features: ||Y'X||^2 over ||X'X|| ||Y'Y||, both centred.
    a, b = x - x.mean(0), y - y.mean(0)
    torch.testing.assert_close(linear_cka(x, y), (b.T @ a).norm()**2 / ((a.T @ a).norm() * (b.T @ b).norm()))
    assert linear_cka(torch.ones(9, 4), y).item() == 0


def test_fitness_is_the_weighted_sum():
    logits = drawn(6, 3), drawn(6, 3, seed=1)
    target, states = torch.tensor([0, 1, 2, 0, 1, 2]), (drawn(6, 4), drawn(6, 5, seed=1))
    found = Fitness(task=2., gap=3., cka=5.)(*logits, target, *states)
    task, gap, cka = (x.item() for x in (F.cross_entropy(logits[0], target), sharpness_gap(*logits),
                                         linear_cka(*states)))
    assert found == pytest.approx({'fitness': 2 * task + 3 * gap + 5 * (1 - cka), 'task': task, 'gap': gap, 'cka': cka})
    with pytest.raises(ValueError, match='cka must be a finite number >= 0, got -1'):
        Fitness(cka=-1.)
    with pytest.raises(ValueError, match='sign must be one of'):
        Fitness(sign='eq4')
