import math

import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.pkt import PKTLoss, pkt_loss
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import pooled
from mmamd.registry import MODELS


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_value_by_hand():
    # Teacher, at right angles: kernel (1, 1/2), probabilities (2/3, 1/3). Student, in line: (1/2, 1/2).
    # The divergence of a row is 2/3 log 4/3 + 1/3 log 2/3; two rows over four pairs are half of it.
    expected = (2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)) / 2
    assert pkt_loss(torch.ones(2, 2), torch.eye(2)).item() == pytest.approx(expected, rel=1e-5)


def test_value_without_the_image_itself_by_hand():
    # Teacher at 0, 90 and 180 degrees: kernels 1/2, 0 and 1/2 of images 1 and 2, 1 and 3, 2 and 3. The first and the
    # third image are taken for the second alone, the second for both alike. Student: all alike, 1/2 each.
    # Divergences log 2, 0, log 2, over nine pairs.
    teacher = torch.tensor([[1., 0.], [0., 1.], [-1., 0.]])
    assert pkt_loss(torch.ones(3, 2), teacher, with_itself=False).item() == pytest.approx(2 * math.log(2) / 9, rel=1e-5)


@pytest.mark.parametrize('with_itself', [True, False])
def test_value_is_that_of_its_definition(with_itself):
    student, teacher = vectors(0, 4, 3), vectors(1, 4, 5)
    expected = 0.
    for i in range(4):
        rows = [[(torch.cosine_similarity(x[i], x[j], dim=0).item() + 1) / 2 if with_itself or j != i else 0.
                 for j in range(4)] for x in (student, teacher)]
        for q, p in zip(*([value / sum(row) for value in row] for row in rows), strict=True):
            expected += p * math.log((p + 1e-7) / (q + 1e-7)) / 16
    assert pkt_loss(student, teacher, with_itself).item() == pytest.approx(expected)


@pytest.mark.parametrize('with_itself', [True, False])
def test_equal_vectors_and_a_single_image_lose_nothing(with_itself):
    x = vectors(2, 4, 3)
    assert pkt_loss(x, x, with_itself).item() == 0
    assert pkt_loss(vectors(3, 1, 3), vectors(4, 1, 5), with_itself).item() == pytest.approx(0)


def test_others_lose_something():
    assert all(pkt_loss(vectors(seed, 4, 3), vectors(seed + 1, 4, 3)) > 0 for seed in range(20))


def test_lengths_rotation_and_the_order_of_the_images_do_not_matter():
    student, teacher = vectors(5, 4, 3), vectors(6, 4, 5)
    expected, (rotation, _) = pkt_loss(student, teacher), torch.linalg.qr(vectors(7, 3, 3))
    order, lengths = [2, 0, 3, 1], torch.tensor([[0.1], [1.], [5.], [30.]])
    torch.testing.assert_close(pkt_loss(lengths * student @ rotation, lengths * teacher), expected)
    torch.testing.assert_close(pkt_loss(student[order], teacher[order]), expected)


@pytest.mark.parametrize('with_itself', [True, False])
def test_gradient_is_that_of_finite_differences(with_itself):
    teacher = vectors(9, 4, 5)
    assert torch.autograd.gradcheck(lambda x: pkt_loss(x, teacher, with_itself), vectors(10, 4, 3).requires_grad_())


@pytest.mark.parametrize('dtype, scale', [(torch.float16, 60), (torch.bfloat16, 60), (torch.float32, 60),
                                          (torch.float32, 1e30), (torch.float32, 1e-30)])
def test_states_of_any_size_have_the_same_loss_and_a_finite_gradient(dtype, scale):
    student, teacher = vectors(11, 8, 32), vectors(12, 8, 64)
    x = (scale * student).to(dtype).requires_grad_()
    loss = pkt_loss(x, (scale * teacher).to(dtype))
    loss.backward()
    assert loss.dtype == torch.float32 and x.grad.isfinite().all()
    assert loss.item() == pytest.approx(pkt_loss(student, teacher).item(), rel=0.02, abs=1e-6)


def test_opposite_and_missing_vectors_have_a_finite_loss_and_gradient():
    # The student is certain that the first two are not alike, the teacher that they are; the third is nothing at all.
    x = torch.tensor([[1., 0.], [-1., 0.], [0., 0.]], requires_grad=True)
    loss = pkt_loss(x, torch.ones(3, 2))
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


def test_cosines_that_rounding_leaves_beyond_minus_one_are_no_negative_probabilities():
    # Two images opposite to a third one: its kernels are 0 up to rounding, of either sign.
    x = torch.randn(200, 1, 64, generator=torch.Generator().manual_seed(0))
    students = torch.cat([x, -0.3 * x, -0.7 * x], dim=1)
    assert all(pkt_loss(student, torch.eye(3), with_itself=False).isfinite() for student in students)


def test_autocast_does_not_round_the_products():
    student, teacher = vectors(13, 8, 32).float(), vectors(14, 8, 32).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        within = pkt_loss(student, teacher)
    assert within == pkt_loss(student, teacher)


def test_another_number_of_images_is_refused():
    with pytest.raises(ValueError, match=r'got \(3, 2\) of the student and \(2, 2\) of the teacher'):
        pkt_loss(torch.zeros(3, 2), torch.zeros(2, 2))


def test_term_is_built_from_a_config_and_takes_the_mean_of_the_last_state(make_distiller):
    distiller = make_distiller(losses={'pkt': dict(type='mmamd.PKTLoss', with_itself=False)}).eval()
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    student, (teacher,) = distiller.run(images, None), distiller.teach(images, None)
    own, others = (outputs.states['backbone.layers.1'] for outputs in (student, teacher))
    expected = pkt_loss(own[:, 1:].mean(1), others[:, 1:].mean(1), with_itself=False)  # token 0 is the class token
    torch.testing.assert_close(distiller.terms['pkt'].compare(student, teacher, 0), expected)
    assert expected > 0
    assert MODELS.build(dict(type='mmamd.PKTLoss')).weight == 30000.


def test_layers_of_any_two_shapes_are_compared_without_a_connector():
    term = PKTLoss(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: state}) for name, state in (
        ('own', vectors(0, 3, 4, 2, 2)), ('other', vectors(1, 3, 7))))
    term.build(student, [teacher], 0)
    assert term.compare(student, teacher, 0) == pkt_loss(pooled(student.states['own'], None), teacher.states['other'])


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be 'last' or a pair of names of modules.*got 3"):
        PKTLoss(layer=3)
