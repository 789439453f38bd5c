import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from mmamd.distillation.losses.nkd import NKDLoss, nkd_loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

TARGET = torch.tensor([0])


def log(*probabilities):
    return torch.tensor([probabilities], dtype=torch.float64).log()


def logits(seed, num=4, classes=5):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3 * torch.randn(2, num, classes, generator=generator, dtype=torch.float64)).unbind()
    return student, teacher, torch.randint(classes, (num,), generator=generator)


@pytest.mark.parametrize('gamma, temperature, expected', [
    # The teacher gives the target 1/2, the student 1/5.
    (0., 1., 0.5 * math.log(5)),
    # Of the rest the teacher gives (4/5, 1/5), the student the reverse.
    (2., 1., 0.5 * math.log(5) + 2 * (0.8 * math.log(5) + 0.2 * math.log(5 / 4))),
    # Softened by 2 the roots of these count: (2/3, 1/3) and the reverse, and the target's part stays.
    (1., 2., 0.5 * math.log(5) + 4 * (2 / 3 * math.log(3) + 1 / 3 * math.log(3 / 2)))])
def test_value_by_hand(gamma, temperature, expected):
    found = nkd_loss(log(0.2, 0.16, 0.64), log(0.5, 0.4, 0.1), TARGET, gamma, temperature)
    assert found.item() == pytest.approx(expected)


def test_the_defaults_are_those_of_the_paper():
    expected = 0.5 * math.log(5) + 1.5 * (0.8 * math.log(5) + 0.2 * math.log(5 / 4))
    assert nkd_loss(log(0.2, 0.16, 0.64), log(0.5, 0.4, 0.1), TARGET).item() == pytest.approx(expected)


def test_the_other_classes_cost_least_where_their_shares_are_the_teachers():
    student, teacher, target = logits(0)
    # The student's target is as it was; of its rest it gives the teacher's shares.
    is_target = torch.nn.functional.one_hot(target, 5).bool()
    s, t = student.softmax(1), teacher.softmax(1)
    rest = (1 - s[is_target]).unsqueeze(1) * t / (1 - t[is_target]).unsqueeze(1)
    alike = torch.where(is_target, s, rest).log()

    def others(logits_NC):
        return nkd_loss(logits_NC, teacher, target, 1.) - nkd_loss(logits_NC, teacher, target, 0.)
    shares = (t / (1 - t[is_target]).unsqueeze(1))[~is_target].view(4, 4)
    assert others(alike).item() == pytest.approx(-(shares * shares.log()).sum(1).mean().item())
    assert others(alike) < others(student)


def test_a_student_that_is_sure_of_the_target_loses_nothing_by_it():
    assert nkd_loss(torch.tensor([[100., 0., 0.]]), log(0.5, 0.3, 0.2), TARGET, 0.).item() == pytest.approx(0.)


def test_loss_is_the_mean_over_samples():
    student, teacher, target = logits(1)
    single = [nkd_loss(student[i:i + 1], teacher[i:i + 1], target[i:i + 1]) for i in range(4)]
    torch.testing.assert_close(nkd_loss(student, teacher, target), torch.stack(single).mean())


@given(st.integers(1, 5), st.integers(2, 6), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_logits_times_sixty_give_finite_loss_and_gradient(num, classes, dtype):
    student, teacher, target = logits(num * classes, num, classes)
    student, teacher = (20 * student).to(dtype).requires_grad_(), (20 * teacher).to(dtype)
    loss = nkd_loss(student, teacher, target)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences():
    student, teacher, target = logits(2)
    assert torch.autograd.gradcheck(lambda s: nkd_loss(s, teacher, target, 1.5, 2.), student.requires_grad_())


def test_term_calls_the_function_and_takes_the_larger_share_of_a_soft_label(make_distiller):
    student, teacher, _ = logits(3, num=2)
    samples = [DataSample().set_gt_label(0).set_gt_score(torch.tensor(score))
               for score in ([0.3, 0.7, 0., 0., 0.], [0.6, 0., 0., 0., 0.4])]
    own, other = (Outputs(make_distiller().network, None, samples, each, {}) for each in (student, teacher))
    term = MODELS.build(dict(type='mmamd.NKDLoss', gamma=2., temperature=3.))
    assert term.compare(own, other, 0) == nkd_loss(student, teacher, torch.tensor([1, 0]), 2., 3.)
    assert term.weight == 1.


@pytest.mark.parametrize('wrong, message', [
    (dict(gamma=-1.), 'gamma must be a finite number >= 0, got -1.0'), (dict(gamma=math.nan), 'gamma must be a finite'),
    (dict(temperature=0.), 'temperature must be a positive finite number, got 0.0')])
def test_weight_and_temperature_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        NKDLoss(**wrong)
    with pytest.raises(ValueError, match=message):
        nkd_loss(*logits(0), **wrong)


@pytest.mark.parametrize('shape, target', [((2, 3), TARGET), ((1, 1), TARGET), ((1, 3, 2, 2), TARGET)])
def test_shapes_that_do_not_agree_are_refused(shape, target):
    with pytest.raises(ValueError, match=r'NKD needs logits of one shape \(N, C\)'):
        nkd_loss(torch.zeros(shape), torch.zeros(shape), target)
