import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from mmamd.distillation.losses.wsld import WSLDLoss, soft_cross_entropy, soft_label_weights, wsld_loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

TARGET = torch.tensor([0])


def log(*probabilities):
    return torch.tensor([probabilities], dtype=torch.float64).log()


def logits(seed, num=4, classes=5):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3 * torch.randn(2, num, classes, generator=generator, dtype=torch.float64)).unbind()
    return student, teacher, torch.randint(classes, (num,), generator=generator)


def test_value_by_hand():
    # The target has 1/4 and 1/2: cross-entropies log 4 and log 2, whose ratio is 2.
    # Soft cross-entropy: (1/2) log 4 + (1/4) log 2 + (1/4) log 4 = 1.75 log 2.
    student, teacher = log(0.25, 0.5, 0.25), log(0.5, 0.25, 0.25)
    assert soft_label_weights(student, teacher, TARGET).item() == pytest.approx(1 - math.exp(-2))
    assert wsld_loss(student, teacher, TARGET, 1.).item() == pytest.approx((1 - math.exp(-2)) * 1.75 * math.log(2))


def test_the_temperature_softens_both_but_not_the_weight_and_its_square_multiplies_the_loss():
    # Softened by 2 the roots of the probabilities count: (4, 2, 1)/7 and (1, 2, 4)/7.
    student, teacher = log(1 / 21, 4 / 21, 16 / 21), log(16 / 21, 4 / 21, 1 / 21)
    weight = 1 - math.exp(-math.log(21) / math.log(21 / 16))
    expected = 4 * weight * (4 * math.log(7) + 2 * math.log(7 / 2) + math.log(7 / 4)) / 7
    assert wsld_loss(student, teacher, TARGET).item() == pytest.approx(expected)


def test_a_sample_is_taught_the_less_the_better_the_student_knows_it():
    teacher = log(0.5, 0.3, 0.2)
    weights = [soft_label_weights(log(p, 0.6 * (1 - p), 0.4 * (1 - p)), teacher, TARGET).item()
               for p in (0.01, 0.3, 0.5, 0.9, 1 - 1e-9)]
    assert weights == sorted(weights, reverse=True) and weights[-1] == pytest.approx(0., abs=1e-8)
    assert weights[2] == pytest.approx(1 - math.exp(-1)), 'of the teacher itself'


def test_a_teacher_that_is_sure_teaches_fully_and_a_student_as_sure_is_left_alone():
    sure, unsure = torch.tensor([[200., 0., 0.]]), torch.zeros(1, 3)
    assert soft_label_weights(unsure, sure, TARGET).item() == 1.
    assert soft_label_weights(sure, sure, TARGET).item() == 0.


def test_a_student_like_the_teacher_has_no_gradient():
    _, teacher, target = logits(0)
    student = teacher.clone().requires_grad_()
    wsld_loss(student, teacher, target).backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(teacher))


def test_loss_is_the_mean_over_samples():
    student, teacher, target = logits(1)
    single = [wsld_loss(student[i:i + 1], teacher[i:i + 1], target[i:i + 1]) for i in range(4)]
    torch.testing.assert_close(wsld_loss(student, teacher, target), torch.stack(single).mean())


@given(st.integers(1, 5), st.integers(2, 6), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_logits_times_sixty_give_finite_loss_and_gradient(num, classes, dtype):
    student, teacher, target = logits(num * classes, num, classes)
    student, teacher = (20 * student).to(dtype).requires_grad_(), (20 * teacher).to(dtype)
    loss = wsld_loss(student, teacher, target)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences_with_weights_that_have_none():
    student, teacher, target = logits(2)
    weights = soft_label_weights(student, teacher, target)

    def with_fixed_weights(s):
        return 4 * (weights * soft_cross_entropy(s, teacher, 2.)).mean()
    assert torch.autograd.gradcheck(with_fixed_weights, student.requires_grad_())
    expected, = torch.autograd.grad(with_fixed_weights(student), student)
    found, = torch.autograd.grad(wsld_loss(student, teacher, target), student)
    torch.testing.assert_close(found, expected)


def test_term_calls_the_function_and_takes_the_larger_share_of_a_soft_label(make_distiller):
    student, teacher, _ = logits(3, num=2)
    samples = [DataSample().set_gt_label(0).set_gt_score(torch.tensor(score))
               for score in ([0.3, 0.7, 0., 0., 0.], [0.6, 0., 0., 0., 0.4])]
    own, other = (Outputs(make_distiller().network, None, samples, each, {}) for each in (student, teacher))
    term = MODELS.build(dict(type='mmamd.WSLDLoss', temperature=3.))
    assert term.compare(own, other, 0) == wsld_loss(student, teacher, torch.tensor([1, 0]), 3.)
    assert WSLDLoss().weight == 2.5


def test_the_temperature_is_checked():
    for call in (lambda: WSLDLoss(temperature=0.), lambda: wsld_loss(*logits(0), 0.)):
        with pytest.raises(ValueError, match='temperature must be a positive finite number, got 0.0'):
            call()


@pytest.mark.parametrize('shape', [(2, 3), (1, 1), (1, 3, 2, 2)])
def test_shapes_that_do_not_agree_are_refused(shape):
    with pytest.raises(ValueError, match=r'WSLD needs logits of one shape \(N, C\)'):
        wsld_loss(torch.zeros(shape), torch.zeros(shape), TARGET)
