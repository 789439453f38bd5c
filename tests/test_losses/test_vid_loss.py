import math

import pytest
import torch
from pairs import STAGES, built, cnn_distiller, external_distiller, steps

from mmamd.distillation.losses.vid import Gaussian, VIDLoss, vid_loss


def test_value_by_hand():
    # Channel 1, variance 1, difference 2: (4 / 1 + 0) / 2 = 2. Channel 2, variance e, no difference: (0 + 1) / 2.
    mean, teacher = torch.tensor([[[1., 5.]]]), torch.tensor([[[3., 5.]]])
    assert vid_loss(mean, torch.tensor([1., math.e]), teacher).item() == pytest.approx(1.25)


def test_channels_of_maps_are_those_of_tokens():
    mean, teacher = torch.randn(2, 2, 4, 3, generator=torch.Generator().manual_seed(0))  # (N, L, C)
    variance = torch.tensor([1., 2., 3.])
    maps = [state.transpose(1, 2).unflatten(2, (2, 2)) for state in (mean, teacher)]
    torch.testing.assert_close(vid_loss(maps[0], variance, maps[1]), vid_loss(mean, variance, teacher))


def test_the_best_variance_is_the_mean_squared_difference():
    # Of d / v + log v, d fixed, the smallest value is at v = d.
    mean, teacher = torch.zeros(1, 4, 1), torch.full((1, 4, 1), 3.)
    values = [vid_loss(mean, torch.tensor([v]), teacher).item() for v in (8., 9., 10.)]
    assert min(values) == values[1] == pytest.approx((1 + math.log(9)) / 2)


def test_agreement_costs_less_than_any_difference():
    mean, variance = torch.ones(1, 2, 3), torch.full((3,), 5.)
    assert vid_loss(mean, variance, mean) < vid_loss(mean, variance, mean + 0.1)


def test_gradient_is_that_of_finite_differences():
    mean, teacher = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variance = torch.rand(4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(lambda m, v: vid_loss(m, v, teacher), (mean.requires_grad_(),
                                                                          variance.requires_grad_()))


# With the least variance the gradient, 120 / 1e-5 / 40 elements, is beyond float16: a case for the loss scaler.
@pytest.mark.parametrize('dtype, variance', [
    (torch.float32, 1e-5), (torch.bfloat16, 1e-5), (torch.float16, 5.)])
def test_large_states_and_a_small_variance_give_finite_loss_and_gradient(dtype, variance):
    mean, teacher = (60 * torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    loss = vid_loss(mean.requires_grad_(), torch.full((4,), variance), teacher)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and mean.grad.isfinite().all()


def test_the_variance_starts_at_five_and_learns():
    term, student, teacher = built(VIDLoss(), {'a': torch.zeros(2, 4, 3)}, {'b': torch.full((2, 4, 5), 9.)})
    gaussian, = term.gaussians[0]
    assert gaussian(student.states['a'])[1].tolist() == pytest.approx([5.] * 5)
    term.compare(student, teacher, 0).backward()
    # The difference is about 9, its square far above 5, so every variance wants to grow.
    assert (gaussian.spread.grad < 0).all()


def test_a_narrower_candidate_uses_the_leading_channels():
    gaussian = Gaussian(4, 3)
    maps = torch.randn(2, 2, 3, 3)
    whole = torch.cat([maps, torch.zeros(2, 2, 3, 3)], dim=1)
    torch.testing.assert_close(gaussian(maps)[0], gaussian(whole)[0])


def test_term_is_the_sum_over_its_layers():
    states = {name: torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(i)) for i, name in enumerate('ab')}
    term, student, teacher = built(VIDLoss(), states, {name: state + 1 for name, state in states.items()})
    expected = [vid_loss(*gaussian(student.states[name]), teacher.states[name])
                for gaussian, name in zip(term.gaussians[0], 'ab', strict=True)]
    torch.testing.assert_close(term.compare(student, teacher, 0), sum(expected))
    assert VIDLoss().weight == 1.


def test_pairs_of_transformers_of_cnns_and_of_two_architectures_are_trained(make_distiller):
    for distiller in (make_distiller(losses={'vid': dict(type='mmamd.VIDLoss', layers=[1, 2])}),
                      cnn_distiller({'vid': dict(type='mmamd.VIDLoss')}),
                      external_distiller({'vid': dict(type='mmamd.VIDLoss', layers=STAGES)})):
        assert all(map(math.isfinite, steps(distiller)))


def test_layers_that_cannot_be_are_refused(make_distiller):
    with pytest.raises(ValueError, match='layers must be'):
        VIDLoss(layers=3)
    with pytest.raises(ValueError, match='losses.vid: layers has 9'):
        make_distiller(losses={'vid': dict(type='mmamd.VIDLoss', layers=[9])})
    with pytest.raises(ValueError, match=r"cannot compare 'a' of the student.*name modules whose outputs are equally"):
        built(VIDLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 2, 2)})
