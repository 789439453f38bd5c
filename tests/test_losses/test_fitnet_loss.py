import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.fitnet import FitNetLoss, hint_loss
from mmamd.distillation.outputs import Outputs


def test_value_is_the_mean_square_by_hand():
    # (1, 2) against (3, 2): differences 2 and 0, squares 4 and 0.
    assert hint_loss(torch.tensor([[1., 2.]]), torch.tensor([[3., 2.]])).item() == pytest.approx(2.)


def test_half_precision_is_compared_in_float32():
    # 300 squared is beyond float16.
    assert hint_loss(torch.full((2,), 300., dtype=torch.float16), torch.zeros(2)).item() == pytest.approx(90_000.)


def test_equal_states_lose_nothing():
    state = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert hint_loss(state, state).item() == 0


def test_gradient_is_that_of_finite_differences():
    predicted, hint = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(hint_loss, (predicted.requires_grad_(), hint))


def test_large_states_give_finite_loss_and_gradient():
    predicted, hint = 60 * torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    loss = hint_loss(predicted.requires_grad_(), hint)
    loss.backward()
    assert loss.isfinite() and predicted.grad.isfinite().all()


def test_the_hint_is_the_middle_state_of_one_architecture(make_distiller):
    distiller = make_distiller(losses={'hint': dict(type='mmamd.FitNetLoss')})
    # Three states: the embedding and two blocks.
    assert distiller.terms['hint'].pairs == [[('backbone.layers.0', 'backbone.layers.0')]]
    assert distiller.terms['hint'].regressors[0].weight.shape == (8, 8), 'learnt also where the widths are equal'


def test_maps_of_two_widths_are_joined_by_a_regressor():
    term = FitNetLoss(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: torch.ones(2, width, 4, 4)})
                        for name, width in (('own', 3), ('other', 5)))
    term.build(student, [teacher], 0)
    nn.init.constant_(term.regressors[0].weight, 1.)
    nn.init.zeros_(term.regressors[0].bias)
    # Each of the five channels is predicted as 1 + 1 + 1, and is 1.
    assert term.compare(student, teacher, 0).item() == pytest.approx(4.)


@pytest.mark.parametrize('layer', ['last', 3, ('a',), ('a', 'b', 'c')])
def test_another_layer_is_refused(layer):
    with pytest.raises((ValueError, TypeError)):
        FitNetLoss(layer=layer)


def test_another_architecture_is_told_to_name_its_layer():
    with pytest.raises(ValueError, match=r"needs layer=\('<its module>', '<the teacher's>'\)"):
        FitNetLoss().watches(nn.Sequential(), nn.Sequential())
