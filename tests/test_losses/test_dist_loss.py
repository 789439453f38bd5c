import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamd.distillation.losses.dist import DISTLoss, correlation, dist_loss
from mmamd.distillation.outputs import Outputs

TEACHER = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log()
ALIKE = torch.tensor([[0.6, 0.4], [0.3, 0.7]]).log()  # of two classes every relation is +1 or -1
OTHER = torch.tensor([[0.6, 0.4], [0.7, 0.3]]).log()


def test_probabilities_that_rise_and_fall_together_lose_nothing():
    assert dist_loss(ALIKE, TEACHER).item() == pytest.approx(0., abs=1e-6)


@pytest.mark.parametrize('beta, gamma, temperature, expected', [
    # Classes: +1 in the first sample, -1 in the second, mean 0. Samples: -1 in both classes.
    (1., 1., 1., 1 + 2), (2., 0., 1., 2.), (0., 1., 1., 2.), (1., 1., 3., 9 * 3)])
def test_value_by_hand(beta, gamma, temperature, expected):
    assert dist_loss(OTHER, TEACHER, beta, gamma, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_a_correlation_is_that_of_numpy_and_of_a_constant_row_zero():
    a, b = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([torch.corrcoef(torch.stack([x, y]))[0, 1] for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(correlation(a, b), expected)
    assert correlation(torch.ones(1, 3), a[:1, :3]).item() == 0.


def test_equal_logits_lack_what_classes_lack_that_do_not_vary():
    # Both samples are (1, 0) after the softmax: the classes of each correlate by 1, the samples of each class by 0.
    logits = torch.tensor([[60., -60.], [60., -60.]], dtype=torch.float64)
    assert dist_loss(logits, logits, beta=3., gamma=2.).item() == pytest.approx(2.)


def test_positions_of_a_dense_prediction_are_samples():
    student, teacher = torch.randn(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    rows = [logits.permute(0, 2, 3, 1).reshape(-1, 3) for logits in (student, teacher)]
    torch.testing.assert_close(dist_loss(student, teacher), dist_loss(*rows))


@given(st.integers(1, 5), st.integers(2, 6), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_logits_times_sixty_give_finite_loss_and_gradient(num, classes, dtype):
    generator = torch.Generator().manual_seed(num * classes)
    student, teacher = (60 * torch.randn(2, num, classes, generator=generator)).to(dtype)
    student.requires_grad_()
    loss = dist_loss(student, teacher)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences():
    student, teacher = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: dist_loss(s, teacher, 1., 2., 2.), student.requires_grad_())


def test_a_stronger_scale_of_the_students_probabilities_costs_nothing_where_two_classes_vary():
    # What matching of values would punish: the student is less certain of the same things.
    assert dist_loss(0.5 * TEACHER, TEACHER).item() == pytest.approx(0., abs=1e-5)


def test_term_calls_the_function():
    own, other = (Outputs(None, None, [], each, {}) for each in (OTHER, TEACHER))
    assert DISTLoss(beta=2., gamma=0.).compare(own, other, 0) == dist_loss(OTHER, TEACHER, 2., 0.)
    assert DISTLoss().weight == 2.


@pytest.mark.parametrize('wrong, message', [
    (dict(beta=-1.), 'beta must be a finite number >= 0, got -1.0'), (dict(gamma=math.inf), 'gamma must be a finite'),
    (dict(temperature=0.), 'temperature must be a positive finite number, got 0.0')])
def test_weights_and_temperature_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        DISTLoss(**wrong)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match=r'one shape, got \(2, 2\) and \(2, 3\)'):
        dist_loss(ALIKE, torch.zeros(2, 3))
