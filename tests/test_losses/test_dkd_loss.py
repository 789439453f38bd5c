import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from mmamd.distillation.losses import DKDLoss
from mmamd.distillation.losses.dkd import dkd_loss
from mmamd.distillation.losses.logit import logit_loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# Teacher (.5, .3, .2), student uniform, target class 0.
# TCKD: (1/2, 1/2) against (1/3, 2/3); NCKD: (.6, .4) against (1/2, 1/2).
TEACHER = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
STUDENT, TARGET = torch.zeros_like(TEACHER), torch.tensor([0])
TCKD = 0.5 * math.log(0.5 * 3) + 0.5 * math.log(0.5 * 3 / 2)
NCKD = 0.6 * math.log(1.2) + 0.4 * math.log(0.8)


def logits(seed, scale=3.0, num_samples=4, num_classes=5):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (scale * torch.randn(num_samples, num_classes, generator=generator, dtype=torch.float64)
                        for _ in range(2))
    return student, teacher, torch.randint(num_classes, (num_samples,), generator=generator)


@pytest.mark.parametrize('zeta, eta, expected', [(1, 0, TCKD), (0, 1, NCKD), (1, 8, TCKD + 8 * NCKD)])
def test_value_by_hand(zeta, eta, expected):
    assert dkd_loss(STUDENT, TEACHER, TARGET, zeta, eta, 1.0).item() == pytest.approx(expected)


def test_temperature_divides_the_logits_and_its_square_multiplies_the_loss():
    assert dkd_loss(STUDENT, 4 * TEACHER, TARGET, 1, 8, 4.0).item() == pytest.approx(16 * (TCKD + 8 * NCKD), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 8), st.integers(2, 12))
def test_kd_is_tckd_plus_the_non_target_share_of_nckd(seed, temperature, num_classes):
    # The share (1 - p_t) differs between samples, so the identity is one of single samples.
    student, teacher, target = logits(seed, num_samples=1, num_classes=num_classes)
    p_target = (teacher / temperature).softmax(1)[0, target[0]].item()
    torch.testing.assert_close(dkd_loss(student, teacher, target, 1.0, 1 - p_target, temperature),
                               logit_loss(student, teacher, temperature))


def test_loss_is_the_mean_over_samples():
    student, teacher, target = logits(0)
    single = [dkd_loss(student[i:i + 1], teacher[i:i + 1], target[i:i + 1], 1, 8, 4.0) for i in range(4)]
    torch.testing.assert_close(dkd_loss(student, teacher, target, 1, 8, 4.0), torch.stack(single).mean())


def test_with_two_classes_the_non_target_term_vanishes():
    student, teacher, target = logits(1, num_classes=2)
    assert dkd_loss(student, teacher, target, 0, 1, 4.0) == 0


@pytest.mark.parametrize('temperature', [1.0, 4.0])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_logits_times_sixty_give_finite_loss_and_gradient(dtype, temperature):
    student, teacher, target = logits(2, 60.0, 32, 100)
    expected = dkd_loss(student, teacher, target, 1, 8, temperature)
    student, teacher = student.to(dtype).requires_grad_(), teacher.to(dtype)
    loss = dkd_loss(student, teacher, target, 1, 8, temperature)
    loss.backward()
    assert student.grad.isfinite().all()
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)


def test_gradient_is_that_of_finite_differences():
    student, teacher, target = logits(3)
    assert torch.autograd.gradcheck(lambda s: dkd_loss(s, teacher, target, 1, 8, 4.0), student.requires_grad_())


@pytest.mark.parametrize('wrong, match', [
    (dict(temperature=0.0), 'temperature must be a positive finite number, got 0.0'),
    (dict(zeta=-1.0), 'zeta must be a finite number >= 0, got -1.0'),
    (dict(eta=-0.5), 'eta must be a finite number >= 0, got -0.5'),
    (dict(eta=math.nan), 'eta must be a finite number >= 0, got nan')])
def test_weights_and_temperature_are_checked_before_training_and_in_the_function(wrong, match):
    with pytest.raises(ValueError, match=match):
        DKDLoss(**wrong)
    with pytest.raises(ValueError, match=match):
        dkd_loss(STUDENT, TEACHER, TARGET, **{**dict(zeta=1.0, eta=8.0, temperature=4.0), **wrong})


@pytest.mark.parametrize('student, teacher, target', [
    (STUDENT, TEACHER[:, :2], TARGET),
    (STUDENT, TEACHER, torch.tensor([0, 1])),
    (STUDENT[:, :1], TEACHER[:, :1], TARGET),
    (torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), TARGET)])
def test_shapes_that_do_not_agree_are_refused(student, teacher, target):
    with pytest.raises(ValueError, match=r'DKD needs logits of one shape \(N, C\)'):
        dkd_loss(student, teacher, target, 1, 8, 4.0)


def test_term_takes_its_targets_from_the_task(make_distiller):
    student, teacher, target = logits(4)
    samples = [DataSample().set_gt_label(int(label)) for label in target]
    network = make_distiller().network
    own, other = (Outputs(network, None, samples, each, {}) for each in (student, teacher))
    term = MODELS.build(dict(type='mmamd.DKDLoss'))
    whole = dkd_loss(student, teacher, target, zeta=1.0, eta=8.0, temperature=4.0)
    assert term.compare(own, other, 0) == whole
    grows = MODELS.build(dict(type='mmamd.DKDLoss', warmup=1 / 12))
    for progress, factor in ((0., 0.), (1 / 24, 0.5), (1 / 12, 1.), (1., 1.)):
        own.progress = progress
        torch.testing.assert_close(grows.compare(own, other, 0), factor * whole)
