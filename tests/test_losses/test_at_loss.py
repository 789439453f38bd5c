import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.at import ATLoss, at_loss, attention
from mmamd.distillation.maps import as_maps
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# One sample, one row of two positions.
TEACHER = torch.tensor([[[[1., 0.]], [[1., 0.]]]])  # two channels: attention (1, 0)


def maps(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize('student, p', [([3.**0.5, 2.], 2), ([-3., 4.], 1), ([3.**0.25, 2.**0.5], 4)])
def test_value_by_hand(student, p):
    # Powers (3, 4), of length 5: (.6, .8) against (1, 0). Squares .16 and .64, mean .4.
    student = torch.tensor(student).view(1, 1, 1, 2)
    assert at_loss(student, TEACHER, p).item() == pytest.approx(0.4)


def test_attention_is_the_mean_over_channels_of_squares_at_length_one():
    # Position 0 has (9 + 0) / 2, position 1 (0 + 12) / 2: 4.5 and 6, of length 7.5.
    x = torch.tensor([[[[3., 0.]], [[0., 12.**0.5]]]])
    torch.testing.assert_close(attention(x, 2), torch.tensor([[0.6, 0.8]]))


def test_equal_maps_lose_nothing():
    x = maps(0, 2, 3, 4, 5)
    assert at_loss(x, x).item() == 0


def test_scale_of_an_images_maps_and_order_and_sign_of_channels_do_not_matter():
    student, teacher = maps(1, 2, 3, 4, 4), maps(2, 2, 5, 4, 4)
    changed = -student[:, [2, 0, 1]] * torch.tensor([0.1, 7.]).view(2, 1, 1, 1)
    torch.testing.assert_close(at_loss(changed, teacher), at_loss(student, teacher))


def test_positions_matter():
    x = maps(3, 2, 3, 4, 4)
    assert at_loss(x.flip(3), x) > 1e-3


def test_samples_are_averaged():
    student, teacher = maps(4, 2, 3, 4, 4), maps(5, 2, 3, 4, 4)
    single = [at_loss(student[i:i + 1], teacher[i:i + 1]) for i in range(2)]
    torch.testing.assert_close(at_loss(student, teacher), torch.stack(single).mean())


def test_gradient_is_that_of_finite_differences():
    teacher = maps(6, 2, 3, 2, 2)
    assert torch.autograd.gradcheck(lambda x: at_loss(x, teacher), maps(7, 2, 4, 2, 2).requires_grad_())


@pytest.mark.parametrize('dtype, scale', [(torch.float16, 60), (torch.bfloat16, 60), (torch.float32, 60),
                                          (torch.float32, 1e30), (torch.float32, 1e-30)])
def test_states_of_any_size_have_the_same_loss_and_a_finite_gradient(dtype, scale):
    student, teacher = maps(8, 2, 3, 4, 4), maps(9, 2, 3, 4, 4)
    x = (scale * student).to(dtype).requires_grad_()
    loss = at_loss(x, (scale * teacher).to(dtype))
    loss.backward()
    assert loss.dtype == torch.float32 and x.grad.isfinite().all()
    assert loss.item() == pytest.approx(at_loss(student, teacher).item(), rel=0.02)


def test_maps_without_any_activity_have_a_finite_gradient():
    x = torch.zeros(2, 3, 2, 2, requires_grad=True)
    at_loss(x, torch.ones(2, 3, 2, 2)).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize('student, teacher', [((2, 3, 4, 4), (2, 3, 2, 2)), ((2, 3, 4, 4), (1, 3, 4, 4)),
                                              ((2, 17, 3), (2, 17, 3)), ((2, 3, 4, 1), (2, 3, 4, 4))])
def test_what_is_no_pair_of_maps_is_refused_rather_than_broadcast(student, teacher):
    with pytest.raises(ValueError, match=r'needs maps \(N, C, H, W\) that differ in C alone'):
        at_loss(torch.zeros(student), torch.zeros(teacher))


def test_term_is_built_from_a_config_and_adds_up_layers_without_the_class_token(make_distiller):
    distiller = make_distiller(losses={'at': dict(type='mmamd.ATLoss', layers=[0, 2], p=4.)}).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    student, (teacher,) = distiller.run(images, None), distiller.teach(images, None)
    own, others = (list(outputs.states.values()) for outputs in (student, teacher))
    assert [tuple(state.shape) for state in own] == [(2, 5, 8)] * 2, 'a class token and 2 x 2 others'
    expected = sum(at_loss(as_maps(a, images), as_maps(b, images), 4.) for a, b in zip(own, others, strict=True))
    assert distiller.terms['at'].compare(student, teacher, 0) == expected > 0
    assert MODELS.build(dict(type='mmamd.ATLoss')).weight == 1000.


def test_maps_of_two_widths_need_no_connector():
    term = ATLoss(layers=[('own', 'other')])
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: state}) for name, state in (
        ('own', maps(0, 2, 3, 4, 4)), ('other', maps(1, 2, 5, 4, 4))))
    term.build(student, [teacher], 0)
    assert not list(term.parameters())
    assert term.compare(student, teacher, 0) == at_loss(student.states['own'], teacher.states['other'])


def test_layers_of_two_resolutions_are_refused_by_name():
    term = ATLoss(layers=[('own', 'other')])
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: torch.ones(2, 3, side, side)})
                        for name, side in (('own', 4), ('other', 8)))
    with pytest.raises(ValueError, match="'own' of the student, whose maps are .*'other' of the teacher.*name modules"):
        term.build(student, [teacher], 0)


@pytest.mark.parametrize('wrong, message', [
    (dict(p=0.5), 'p must be a finite number >= 1, got 0.5'), (dict(p=float('inf')), 'p must be a finite number'),
    (dict(p=True), 'p must be a finite number'), (dict(layers=3), "layers must be 'auto'")])
def test_options_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        ATLoss(**wrong)


def test_another_architecture_is_told_to_name_pairs():
    with pytest.raises(ValueError, match=r"needs layers=\[\('<its module>', '<the teacher's>'\)"):
        ATLoss().watches(nn.Sequential(), nn.Sequential())
