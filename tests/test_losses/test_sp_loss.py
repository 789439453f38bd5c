import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.sp import SPLoss, sp_loss
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import flattened
from mmamd.registry import MODELS


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_value_by_hand():
    # Student: G is the unit matrix. Teacher: G is all ones, in rows of length 1 all 1 / sqrt(2) = r.
    # Squares (1 - r)^2 twice and r^2 twice, over 4: ((1 - 2 r + 1/2) + 1/2) / 2 = 1 - r.
    student, teacher = torch.eye(2), torch.tensor([[1., 0.], [1., 0.]])
    assert sp_loss(student, teacher).item() == pytest.approx(1 - 0.5**0.5)


def test_value_is_that_of_its_definition():
    student, teacher = vectors(0, 4, 3), vectors(1, 4, 5)
    expected = 0.
    for i in range(4):
        rows = [[(x[i] @ x[j]).item() for j in range(4)] for x in (student, teacher)]
        lengths = [sum(value**2 for value in row)**0.5 for row in rows]
        expected += sum((a / lengths[0] - b / lengths[1])**2 for a, b in zip(*rows, strict=True)) / 16
    assert sp_loss(student, teacher).item() == pytest.approx(expected)


def test_equal_vectors_and_a_single_image_lose_nothing():
    x = vectors(2, 4, 3)
    assert sp_loss(x, x).item() == 0
    assert sp_loss(vectors(3, 1, 3), vectors(4, 1, 5)).item() == pytest.approx(0)


def test_scale_rotation_and_the_order_of_the_images_do_not_matter():
    student, teacher = vectors(5, 4, 3), vectors(6, 4, 5)
    expected, (rotation, _) = sp_loss(student, teacher), torch.linalg.qr(vectors(7, 3, 3))
    order = [2, 0, 3, 1]
    torch.testing.assert_close(sp_loss(0.1 * student @ rotation, 7 * teacher), expected)
    torch.testing.assert_close(sp_loss(student[order], teacher[order]), expected)


def test_an_order_of_its_own_matters():
    x = vectors(8, 4, 3)
    assert sp_loss(x[[1, 0, 2, 3]], x) > 1e-3


def test_gradient_is_that_of_finite_differences():
    teacher = vectors(9, 4, 5)
    assert torch.autograd.gradcheck(lambda x: sp_loss(x, teacher), vectors(10, 4, 3).requires_grad_())


@pytest.mark.parametrize('dtype, scale', [(torch.float16, 60), (torch.bfloat16, 60), (torch.float32, 60),
                                          (torch.float32, 1e30), (torch.float32, 1e-30)])
def test_states_of_any_size_have_the_same_loss_and_a_finite_gradient(dtype, scale):
    student, teacher = vectors(11, 8, 32), vectors(12, 8, 64)
    x = (scale * student).to(dtype).requires_grad_()
    loss = sp_loss(x, (scale * teacher).to(dtype))
    loss.backward()
    assert loss.dtype == torch.float32 and x.grad.isfinite().all()
    assert loss.item() == pytest.approx(sp_loss(student, teacher).item(), rel=0.02)


def test_an_image_without_any_activity_has_a_finite_gradient():
    x = torch.tensor([[0., 0.], [1., 2.]], requires_grad=True)
    sp_loss(x, torch.ones(2, 2)).backward()
    assert x.grad.abs().max() < 10


def test_autocast_does_not_round_the_products():
    student, teacher = vectors(13, 8, 32).float(), vectors(14, 8, 32).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        within = sp_loss(student, teacher)
    assert within == sp_loss(student, teacher)


@pytest.mark.parametrize('student, teacher', [((3, 2), (2, 2)), ((2, 5, 3), (2, 5, 3)), ((2,), (2,))])
def test_what_is_no_vector_an_image_is_refused(student, teacher):
    with pytest.raises(ValueError, match=r'need a vector of each image of both networks, \(N, D\) with one N'):
        sp_loss(torch.zeros(student), torch.zeros(teacher))


def test_term_is_built_from_a_config_and_takes_all_positions_of_the_last_state(make_distiller):
    distiller = make_distiller(losses={'sp': dict(type='mmamd.SPLoss')}).eval()
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    student, (teacher,) = distiller.run(images, None), distiller.teach(images, None)
    own, others = (outputs.states['backbone.layers.1'] for outputs in (student, teacher))
    expected = sp_loss(own[:, 1:].flatten(1), others[:, 1:].flatten(1))  # token 0 is the class token
    torch.testing.assert_close(distiller.terms['sp'].compare(student, teacher, 0), expected)
    assert expected > 0
    assert MODELS.build(dict(type='mmamd.SPLoss')).weight == 3000.


def test_layers_of_any_two_shapes_are_compared_without_a_connector():
    term = SPLoss(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), torch.zeros(1, 3, 8, 8), [], None, {name: state}) for name, state in (
        ('own', vectors(0, 3, 4, 2, 2)), ('other', vectors(1, 3, 17, 5))))
    term.build(student, [teacher], 0)
    assert not list(term.parameters())
    assert term.compare(student, teacher, 0) == sp_loss(*(flattened(state, student.inputs) for state in (
        student.states['own'], teacher.states['other'])))


def test_a_state_without_positions_is_refused_by_name():
    term = SPLoss(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), torch.zeros(1, 3, 8, 8), [], None, {name: torch.zeros(2, number, 3)})
                        for name, number in (('own', 16), ('other', 12)))
    with pytest.raises(ValueError, match=r"'other' of the teacher: a state of shape \(2, 12, 3\) cannot be made maps"):
        term.build(student, [teacher], 0)


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be 'last' or a pair of names of modules.*got 'middle'"):
        SPLoss(layer='middle')
