import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmamd.distillation.losses import LogitLoss
from mmamd.distillation.losses.logit import logit_loss, standardized
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# Teacher probabilities (3/4, 1/4), student (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
TEACHER, STUDENT = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
KL = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)


def logits(seed, shape=(4, 5), scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def test_value_by_hand():
    assert logit_loss(STUDENT, TEACHER, 1.0).item() == pytest.approx(KL)


def test_divergence_is_taken_from_the_teacher():
    # KL(student || teacher) = 1/2 ln(1/2 / 3/4) + 1/2 ln(1/2 / 1/4) = 0.1438, not 0.1308.
    assert logit_loss(TEACHER, STUDENT, 1.0).item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))


def test_temperature_divides_the_logits_and_its_square_multiplies_the_loss():
    assert logit_loss(STUDENT, 2 * TEACHER, 2.0).item() == pytest.approx(4 * KL)


def test_loss_is_the_mean_over_samples():
    agreeing = torch.zeros(3, 2)
    loss = logit_loss(torch.cat([STUDENT, agreeing]), torch.cat([TEACHER, agreeing]), 1.0)
    assert loss.item() == pytest.approx(KL / 4)


def test_dense_logits_are_averaged_over_samples_and_positions():
    student, teacher = logits(0, (2, 3, 4, 5))
    flat = [x.permute(0, 2, 3, 1).reshape(-1, 3) for x in (student, teacher)]
    torch.testing.assert_close(logit_loss(student, teacher, 2.0), logit_loss(*flat, 2.0))


def test_positions_that_do_not_count_are_left_out_of_the_mean():
    student, teacher = (torch.stack([x, torch.randn(1, 2)], dim=2) for x in (STUDENT, 2 * TEACHER))
    assert logit_loss(student, teacher, 2.0, torch.tensor([[True, False]])).item() == pytest.approx(4 * KL)
    assert logit_loss(student, teacher, 2.0, torch.tensor([[False, False]])).item() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 8))
def test_kl_plus_the_teachers_entropy_is_the_soft_cross_entropy(seed, temperature):
    student, teacher = logits(seed)
    p_t = (teacher / temperature).softmax(1)
    entropy = -(p_t * p_t.log()).sum(1).mean()
    soft_cross_entropy = F.cross_entropy(student / temperature, p_t)
    torch.testing.assert_close(logit_loss(student, teacher, temperature) / temperature**2 + entropy,
                               soft_cross_entropy)


def test_gradient_is_the_difference_of_the_probabilities():
    student, teacher = logits(1)
    student.requires_grad_()
    logit_loss(student, teacher, 1.0).backward()
    torch.testing.assert_close(student.grad, (student.softmax(1) - teacher.softmax(1)).detach() / 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(-50, 50))
def test_loss_is_not_negative_zero_for_equal_logits_and_blind_to_a_shift(seed, shift):
    student, teacher = logits(seed)
    assert logit_loss(student, teacher, 1.0) > 0
    assert logit_loss(teacher, teacher, 1.0).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(logit_loss(student + shift, teacher, 1.0), logit_loss(student, teacher, 1.0))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_large_logits_give_finite_loss_and_gradient(dtype):
    student, teacher = (x.to(dtype) for x in logits(2, (32, 100), 60.0))
    student.requires_grad_()
    loss = logit_loss(student, teacher, 1.0)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('temperature', [0.0, -1.0, math.nan, math.inf])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match='temperature must be a positive finite number, got'):
        logit_loss(STUDENT, TEACHER, temperature)
    with pytest.raises(ValueError, match='temperature must be a positive finite number, got'):
        LogitLoss(temperature=temperature)


def test_different_class_counts_are_refused_rather_than_broadcast():
    with pytest.raises(ValueError, match=r'\(1, 1\) and \(1, 2\)'):
        logit_loss(torch.zeros(1, 1), TEACHER, 1.0)


def test_term_is_built_from_a_config_and_calls_the_function():
    student, teacher = logits(3)
    term = MODELS.build(dict(type='mmamd.LogitLoss', temperature=2.0))
    own, other = (Outputs(None, None, [], each, {}) for each in (student, teacher))
    assert term.compare(own, other, 0) == logit_loss(student, teacher, 2.0)
    assert LogitLoss().temperature == 1.0


# --- standardized logits ---

def standardized_loss(student, teacher, temperature):
    return logit_loss(standardized(student), standardized(teacher), temperature)


def test_standardized_logits_by_hand():
    # Mean 2, squared distances 1, 0, 1: variance 2/3, by C and not by C - 1.
    torch.testing.assert_close(standardized(torch.tensor([[1., 2., 3.]])), torch.tensor([[-1.5**0.5, 0., 1.5**0.5]]))


def test_standardized_loss_by_hand():
    # Two classes standardize to (1, -1) or (-1, 1) whatever they are. At T = 2 / ln 3 the teacher's become
    # (ln 3 / 2, -ln 3 / 2), probabilities (3/4, 1/4), and an opposite student's (1/4, 3/4):
    # KL = 3/4 ln 3 - 1/4 ln 3 = ln 3 / 2, and T^2 times it is 2 / ln 3.
    student, teacher = torch.tensor([[-5., 2.]]), torch.tensor([[7., 6.5]])
    assert standardized_loss(student, teacher, 2 / math.log(3)).item() == pytest.approx(2 / math.log(3))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(-50, 50), st.floats(0.01, 100))
def test_standardized_loss_is_blind_to_shift_and_scale_of_either_network(seed, shift, scale):
    student, teacher = logits(seed)
    loss = standardized_loss(student, teacher, 2.0)
    torch.testing.assert_close(standardized_loss(scale * student + shift, teacher, 2.0), loss)
    torch.testing.assert_close(standardized_loss(student, scale * teacher + shift, 2.0), loss)
    assert standardized_loss(scale * teacher + shift, teacher, 2.0).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize('shape', [(4, 5), (2, 3, 2, 2)])
def test_standardized_loss_has_the_gradient_that_finite_differences_find(shape):
    student, teacher = logits(4, shape)
    assert torch.autograd.gradcheck(lambda x: standardized_loss(x, teacher, 2.0), student.requires_grad_())


def test_dense_logits_are_standardized_position_by_position():
    student, teacher = logits(5, (2, 3, 4, 5))
    flat = [x.permute(0, 2, 3, 1).reshape(-1, 3) for x in (student, teacher)]
    torch.testing.assert_close(standardized_loss(student, teacher, 2.0), standardized_loss(*flat, 2.0))


@pytest.mark.parametrize('value', [0., 3.])
def test_equal_logits_standardize_to_0_with_a_finite_gradient(value):
    student, teacher = torch.full((2, 5), value, requires_grad=True), logits(6, (2, 5))[0].float()
    loss = standardized_loss(student, teacher, 2.0)
    loss.backward()
    assert standardized(student).abs().max() == 0
    assert loss.isfinite() and student.grad.isfinite().all() and student.grad.any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_standardized_in_float32(dtype):
    # Squares of logits of 300 overflow in float16.
    student, teacher = (x.to(dtype) for x in logits(7, (32, 100), 300.0))
    student.requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        loss = standardized_loss(student, teacher, 2.0)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()
    torch.testing.assert_close(loss, standardized_loss(student.float(), teacher.float(), 2.0))


def test_term_standardizes_the_logits_of_both_networks_where_it_is_told_to():
    student, teacher = logits(8)
    own, other = (Outputs(None, None, [], each, {}) for each in (student, teacher))
    term = MODELS.build(dict(type='mmamd.LogitLoss', temperature=2.0, standardize=True))
    assert term.compare(own, other, 0) == standardized_loss(student, teacher, 2.0)
    assert LogitLoss().standardize is False
