import math

import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.cwd import CWDLoss, cwd_loss
from mmamd.distillation.maps import as_maps
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# One sample, two channels, one row of two positions. The first channel is in the places (3/4, 1/4); the second, and
# both of the student, in (1/2, 1/2).
TEACHER = torch.tensor([[[[math.log(3), 0.]], [[1., 1.]]]])
STUDENT = torch.zeros_like(TEACHER)
FIRST = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)


def maps(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def term_of(student, teacher, **options):
    """A term between module 'own' and module 'other', built, and the outputs that it compares."""
    term = CWDLoss(layer=('own', 'other'), **options)
    term.pairs = [[('own', 'other')]]
    outputs = [Outputs(nn.Sequential(), torch.zeros(1, 3, 8, 8), [], None, {name: state})
               for name, state in (('own', student), ('other', teacher))]
    term.build(outputs[0], outputs[1:], 0)
    return term, *outputs


@pytest.mark.parametrize('temperature', [1., 4.])
def test_value_by_hand(temperature):
    # The mean over two channels; the temperature divides the maps and its square multiplies the loss.
    loss = cwd_loss(STUDENT, temperature * TEACHER, temperature)
    assert loss.item() == pytest.approx(temperature**2 * FIRST / 2, rel=1e-5)


def test_equal_maps_lose_nothing():
    x = maps(0, 2, 3, 4, 5)
    assert cwd_loss(x, x).item() == 0


def test_a_constant_of_a_channel_and_the_order_of_positions_and_channels_do_not_matter():
    student, teacher = maps(1, 2, 3, 2, 4), maps(2, 2, 3, 2, 4)
    expected = cwd_loss(student, teacher)
    torch.testing.assert_close(cwd_loss(student + torch.tensor([5., -3., 0.]).view(3, 1, 1), teacher), expected)
    torch.testing.assert_close(cwd_loss(student.flip(3, 1), teacher.flip(3, 1)), expected)


def test_positions_matter():
    x = maps(3, 2, 3, 4, 4)
    assert cwd_loss(x.flip(3), x) > 1e-3


def test_samples_are_averaged():
    student, teacher = maps(4, 2, 3, 4, 4), maps(5, 2, 3, 4, 4)
    single = [cwd_loss(student[i:i + 1], teacher[i:i + 1]) for i in range(2)]
    torch.testing.assert_close(cwd_loss(student, teacher), torch.stack(single).mean())


def test_gradient_is_that_of_finite_differences():
    teacher = maps(6, 2, 3, 2, 2)
    assert torch.autograd.gradcheck(lambda x: cwd_loss(x, teacher, 2.), maps(7, 2, 3, 2, 2).requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_maps_times_sixty_give_finite_loss_and_gradient(dtype):
    student, teacher = 60 * maps(8, 2, 3, 4, 4), 60 * maps(9, 2, 3, 4, 4)
    x = student.to(dtype).requires_grad_()
    loss = cwd_loss(x, teacher.to(dtype), 1.)
    loss.backward()
    assert loss.dtype == torch.float32 and x.grad.isfinite().all()
    assert loss.item() == pytest.approx(cwd_loss(student, teacher, 1.).item(), rel=0.02)


@pytest.mark.parametrize('student, teacher', [((2, 3, 4, 4), (2, 3, 2, 2)), ((2, 1, 4, 4), (2, 3, 4, 4)),
                                              ((2, 17, 3), (2, 17, 3)), ((2, 10), (2, 10))])
def test_what_is_no_pair_of_maps_is_refused(student, teacher):
    with pytest.raises(ValueError, match=r'needs maps of one shape \(N, C, H, W\)'):
        cwd_loss(torch.zeros(student), torch.zeros(teacher))


@pytest.mark.parametrize('temperature', [0., -1., math.inf])
def test_the_temperature_is_checked_before_training_and_in_the_function(temperature):
    with pytest.raises(ValueError, match='temperature must be a positive finite number'):
        CWDLoss(temperature=temperature)
    with pytest.raises(ValueError, match='temperature must be a positive finite number'):
        cwd_loss(STUDENT, TEACHER, temperature)


def test_term_is_built_from_a_config_and_compares_the_last_state_without_the_class_token(make_distiller):
    distiller = make_distiller(losses={'cwd': dict(type='mmamd.CWDLoss', temperature=2.)}).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    student, (teacher,) = distiller.run(images, None), distiller.teach(images, None)
    own, others = (as_maps(outputs.states['backbone.layers.1'], images) for outputs in (student, teacher))
    assert distiller.terms['cwd'].compare(student, teacher, 0) == cwd_loss(own, others, 2.) > 0
    term = MODELS.build(dict(type='mmamd.CWDLoss'))
    assert (term.weight, term.temperature) == (50., 4.)


def test_dense_logits_are_compared_as_they_are():
    term = CWDLoss(layer='logits')
    student, teacher = (Outputs(nn.Sequential(), None, [], logits, {}) for logits in (STUDENT, TEACHER))
    term.pairs = [term.watches(student.network, teacher.network)]
    term.build(student, [teacher], 0)
    assert term.pairs == [[]] and not list(term.parameters())
    assert term.compare(student, teacher, 0) == cwd_loss(STUDENT, TEACHER)


def test_logits_of_a_classifier_are_refused_when_the_distiller_is_built(make_distiller):
    with pytest.raises(ValueError, match=r"losses.cwd: expected dense logits .*got \(1, 3\) of .*layer='last'"):
        make_distiller(losses={'cwd': dict(type='mmamd.CWDLoss', layer='logits')})


def test_maps_of_two_widths_are_joined_by_a_connector():
    term, student, teacher = term_of(maps(0, 2, 3, 4, 4).float(), maps(1, 2, 5, 4, 4).float())
    connector, = term.connectors[0]
    expected = cwd_loss(connector(student.states['own'], None)[0], teacher.states['other'])
    assert connector.weight.shape == (5, 3) and term.compare(student, teacher, 0) == expected


@pytest.mark.parametrize('student, message', [
    (torch.ones(2, 5, 8, 8), r"'own' of the student, whose maps are \(8, 8\), with 'other' of the teacher"),
    (torch.ones(2, 12, 5), r"'own' of the student: a state of shape \(2, 12, 5\) cannot be made maps"),
    (torch.ones(2, 16, 5), "cannot compare 'own' of the student")])
def test_layers_that_do_not_match_are_refused_by_name(student, message):
    with pytest.raises(ValueError, match=message):
        term_of(student, torch.ones(2, 5, 4, 4))


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be 'last', 'logits' or a pair of names of modules.*got 'logit'"):
        CWDLoss(layer='logit')
