import math

import pytest
import torch
from pairs import STAGES, built, cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.distillation.losses.ab import ABLoss, ab_loss


@pytest.mark.parametrize('student, teacher, expected', [
    # Not active: (s + 1)^2 above -1, else nothing. Active: (s - 1)^2 below 1, else nothing. At 0 it is not active.
    (2., -1., 9.), (-0.5, -1., 0.25), (-1., -1., 0.), (-7., -1., 0.), (0.5, 0., 2.25),
    (-2., 3., 9.), (0.5, 3., 0.25), (1., 3., 0.), (7., 3., 0.)])
def test_value_by_hand(student, teacher, expected):
    assert ab_loss(torch.tensor([[student]]), torch.tensor([[teacher]])).item() == pytest.approx(expected)


def test_elements_are_summed_and_samples_averaged_under_another_margin():
    # Margin 2. Sample 1: not active at 0, 4; active at 1, 1. Sample 2: not active at 1, 9; active at 2, 0. 14 / 2.
    student, teacher = torch.tensor([[0., 1.], [1., 2.]]), torch.tensor([[-1., 1.], [-1., 1.]])
    assert ab_loss(student, teacher, margin=2.).item() == pytest.approx(7.)


def test_the_size_of_what_is_active_does_not_matter():
    student, teacher = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    assert ab_loss(student, teacher) == ab_loss(student, 60 * teacher)
    assert ab_loss(2 * teacher.sign(), teacher).item() == 0., 'the same side, beyond the margin'


def test_gradient_is_that_of_finite_differences():
    student, teacher = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: ab_loss(s, teacher), student.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_large_states_give_finite_loss_and_gradient(dtype):
    student, teacher = (60 * torch.randn(2, 2, 5, 64, generator=torch.Generator().manual_seed(0))).to(dtype)
    loss = ab_loss(student.requires_grad_(), teacher)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_deeper_layers_count_twice_as_much_each():
    states = {name: torch.zeros(1, 1, 1) for name in 'abc'}
    term, student, teacher = built(ABLoss(), states, states)
    # Each layer has 1: 1/4 + 1/2 + 1.
    assert term.compare(student, teacher, 0).item() == pytest.approx(1.75)
    assert ABLoss().weight == 3e-3


def test_states_of_one_shape_are_compared_as_they_are_and_others_through_a_map():
    for width, parameters in ((3, 0), (5, 2)):
        term, *_ = built(ABLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, width, 4, 4)})
        assert len(list(term.parameters())) == parameters


def test_pairs_of_transformers_of_cnns_and_of_two_architectures_are_trained(settings, make_distiller):
    one = settings['candidates'][:1]
    for distiller in (make_distiller(losses={'ab': dict(type='mmamd.ABLoss', layers=[1, 2])}, candidates=one),
                      cnn_distiller({'ab': dict(type='mmamd.ABLoss')}, num_candidates=1),
                      external_distiller({'ab': dict(type='mmamd.ABLoss', layers=STAGES)})):
        assert all(value > 0 and math.isfinite(value) for value in steps(distiller))


@pytest.mark.parametrize('wrong, message', [
    (dict(margin=0.), 'margin must be a positive finite number, got 0.0'), (dict(layers=1), 'layers must be')])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ABLoss(**wrong)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r'needs layers=\[\('):
        ABLoss().watches(nn.Sequential(), nn.Sequential())
    with pytest.raises(ValueError, match="cannot compare 'a' of the student"):
        built(ABLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 2, 2)})
