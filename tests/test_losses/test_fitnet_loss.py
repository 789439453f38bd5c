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
    assert distiller.terms['hint'].regressors[0][0].weight.shape == (8, 8), 'learnt also where the widths are equal'
    assert len(distiller.terms['hint'].regressors[0]) == 1, 'tokens have no batch norm'


def on_maps(hint=1., **options):
    """A term whose regressor of maps adds up three channels of ones, to five of the hint; and both networks' outputs.

    The channels are ones on half of the positions and twos on the others.
    """
    term = FitNetLoss(layer=('own', 'other'), **options)
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: state}) for name, state in (
        ('own', torch.tensor([1., 2.]).expand(2, 3, 4, 2)), ('other', torch.full((2, 5, 4, 2), hint))))
    term.build(student, [teacher], 0)
    nn.init.constant_(term.regressors[0][0].weight, 1.)
    nn.init.zeros_(term.regressors[0][0].bias)
    return term, student, teacher


def test_maps_of_two_widths_are_joined_by_a_regressor():
    term, *outputs = on_maps(norm=False)
    # Each of the five channels is predicted as 3 or as 6, and is 1: (4 + 25) / 2.
    assert term.compare(*outputs, 0).item() == pytest.approx(14.5)


def test_a_batch_norm_and_a_relu_follow_where_they_are_asked_for():
    # 3 and 6 are normed to -1 and 1 (but for the norm's eps): (4 + 0) / 2, and with the ReLU to 0 and 1: (1 + 0) / 2.
    for options, expected in ((dict(), 2.), (dict(relu=True), 0.5)):
        term, *outputs = on_maps(**options)
        assert term.compare(*outputs, 0).item() == pytest.approx(expected, rel=1e-4)
    term, *outputs = on_maps(norm=False, relu=True, hint=-1.)
    assert term.compare(*outputs, 0).item() == pytest.approx((16 + 49) / 2), 'positive values pass'


@pytest.mark.parametrize('layer', ['last', 3, ('a',), ('a', 'b', 'c')])
def test_another_layer_is_refused(layer):
    with pytest.raises((ValueError, TypeError)):
        FitNetLoss(layer=layer)


def test_another_architecture_is_told_to_name_its_layer():
    with pytest.raises(ValueError, match=r"needs layer=\('<its module>', '<the teacher's>'\)"):
        FitNetLoss().watches(nn.Sequential(), nn.Sequential())
