import math
from dataclasses import replace

import pytest
import torch
from pairs import STAGES, built, cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.distillation.losses.ft import FTLoss, ft_loss, reconstruction_loss
from mmamd.structures import Cost

FACTOR = torch.tensor([[[[3.]], [[4.]]]])  # two channels at one position


def test_value_by_hand():
    # Two channels, two positions. Mean squares of the student: (9 + 0) / 2, (16 + 0) / 2, a direction of (9, 16) / b
    # with b = sqrt(337); of the teacher (0, 2), direction (0, 1). Mean of 9 / b and 1 - 16 / b.
    student = torch.tensor([[3., 4.], [0., 0.]]).view(1, 2, 1, 2)
    teacher = torch.tensor([[0., 2.], [0., 0.]]).view(1, 2, 1, 2)
    b = math.sqrt(337)
    assert ft_loss(student, teacher).item() == pytest.approx((9 / b + 1 - 16 / b) / 2)


def test_all_channels_by_hand_without_a_power():
    # Directions (.6, .8) and (1, 0): (.4 + .8) / 2.
    other = torch.tensor([[[[2.]], [[0.]]]])
    assert ft_loss(FACTOR, other, power=None).item() == pytest.approx(0.6)
    assert ft_loss(FACTOR, other).item() == pytest.approx(0.), 'one position has one mean of powers'


@pytest.mark.parametrize('power', [1, 2, None])
def test_the_size_of_a_factor_does_not_matter(power):
    factor = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert ft_loss(7 * factor, factor, power).item() == pytest.approx(0., abs=1e-7)
    assert ft_loss(factor, factor, power).item() == 0.


def test_reconstruction_by_hand():
    # Differences 1 and 3: (1 + 9) / 2.
    assert reconstruction_loss(FACTOR - torch.tensor([1., 3.]).view(1, 2, 1, 1), FACTOR).item() == pytest.approx(5.)


@pytest.mark.parametrize('power', [2, None])
def test_gradient_is_that_of_finite_differences(power):
    student, teacher = torch.randn(2, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: ft_loss(s, teacher, power), student.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('power', [2, None])
def test_large_and_zero_states_give_finite_loss_and_gradient(dtype, power):
    student, teacher = (60 * torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    student[0] = 0
    loss = ft_loss(student.requires_grad_(), teacher, power)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def names(term):
    return {name.split('.')[2] for name, p in term.named_parameters() if p.requires_grad}


def test_each_stage_trains_its_own_part(settings, make_distiller):
    one = settings['candidates'][:1]
    first = make_distiller(losses={'ft': dict(type='mmamd.FTLoss', learns='paraphraser')}, candidates=one,
                           trains='losses')
    assert names(first.terms['ft']) == {'paraphraser', 'restorer'}
    assert steps(first)[0] > 0
    own = one[0]['cost']['macs']
    first.teacher_networks = [replace(first.teacher_networks[0], cost=Cost(1000, 0))]
    assert first.macs(first.candidates) == 1000 + own + first.terms['ft'].macs  # no backward pass of a frozen network
    then = make_distiller(losses={'ft': dict(type='mmamd.FTLoss')}, candidates=one)
    then.teacher_networks = first.teacher_networks
    assert then.macs(then.candidates) == 1000 + 3 * own + then.terms['ft'].macs
    assert names(then.terms['ft']) == {'translator'}
    assert steps(then)[0] > 0


def test_a_trained_paraphraser_restores_the_state():
    state = {'a': torch.randn(8, 4, 2, 2, generator=torch.Generator().manual_seed(0))}
    term, student, teacher = built(FTLoss(learns='paraphraser', rate=1.), state, state)
    optimizer = torch.optim.Adam(term.parameters(), lr=1e-2)
    values = []
    for _ in range(60):
        loss = term.compare(student, teacher, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.3 * values[0]


def test_term_calls_the_function_on_its_factors():
    term, student, teacher = built(FTLoss(power=None, rate=0.5), {'a': torch.randn(2, 3, 4, 4)},
                                   {'b': torch.randn(2, 6, 4, 4)})
    parts = term.factors[0]
    factors = parts.translator(student.states['a']), parts.paraphraser(teacher.states['b'])
    assert factors[0].shape == factors[1].shape == (2, 3, 4, 4)
    assert term.compare(student, teacher, 0) == ft_loss(*factors, power=None)
    assert FTLoss().weight == 200.


def test_pairs_of_cnns_and_of_two_architectures_are_trained():
    for distiller in (cnn_distiller({'ft': dict(type='mmamd.FTLoss')}, num_candidates=1),
                      external_distiller({'ft': dict(type='mmamd.FTLoss', layer=STAGES[1])})):
        assert all(value > 0 and math.isfinite(value) for value in steps(distiller))


@pytest.mark.parametrize('wrong, message', [
    (dict(learns='both'), "learns must be 'translator' or 'paraphraser', got 'both'"),
    (dict(rate=0.), r'rate must lie in \(0, 1\], got 0.0'), (dict(power=0), 'power must be a positive integer or None'),
    (dict(layer='first'), "layer must be 'last' or a pair")])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FTLoss(**wrong)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"needs layer=\('<its module>', '<the teacher's>'\)"):
        FTLoss().watches(nn.Sequential(), nn.Sequential())
    with pytest.raises(ValueError, match="cannot compare 'a' of the student"):
        built(FTLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 2, 2)})
