import math

import pytest
import torch
import torch.nn as nn

from mmamd.distillation.losses.rkd import RKDLoss, angles, distances, rkd_loss
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import pooled
from mmamd.registry import MODELS

LINE = torch.tensor([[0.], [1.], [3.]])


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_distances_by_hand():
    # Teacher: distances 1, 3, 2, mean 2: .5, 1.5, 1. Student: 1, 2, 1, mean 4/3: .75, 1.5, .75.
    # Differences .25, 0, .25; half their squares .03125, 0, .03125; each pair twice, over 9.
    # On a line no angle differs.
    student = torch.tensor([[0.], [1.], [2.]])
    assert rkd_loss(student, LINE, distance=1., angle=0.).item() == pytest.approx(0.125 / 9)
    assert rkd_loss(student, LINE, distance=0., angle=1.).item() == pytest.approx(0.)


def test_angles_by_hand():
    # Teacher, a right angle and twice 45 degrees: cosines 0, r, r with r = sqrt(1/2). Student, on a line: 1, -1, 1.
    # Differences 1, 1 + r, 1 - r: Huber 1/2, 1/2 + r, (1 - r)^2 / 2 = 3/4 - r, in sum 7/4; each angle twice, over 27.
    teacher = torch.tensor([[0., 0.], [1., 0.], [0., 1.]])
    assert rkd_loss(LINE, teacher, distance=0., angle=1.).item() == pytest.approx(2 * 7 / 4 / 27)
    assert rkd_loss(LINE, teacher, distance=0., angle=50.).item() == pytest.approx(50 * 2 * 7 / 4 / 27)


def test_the_potentials_by_hand():
    torch.testing.assert_close(distances(LINE), torch.tensor([[0., .5, 1.5], [.5, 0., 1.], [1.5, 1., 0.]]))
    # At the middle one the others lie on two sides; with itself an image has the cosine 1, at itself 0.
    assert angles(LINE)[1].tolist() == [[1., 0., -1.], [0., 0., 0.], [-1., 0., 1.]]


def test_images_that_coincide_count_in_the_mean_distance():
    # Distances 0, 1, 1: mean 2/3, so that the others are 1.5 apart.
    assert distances(torch.tensor([[0.], [0.], [1.]]))[0].tolist() == [0., 0., pytest.approx(1.5)]


def test_value_is_that_of_its_definition():
    student, teacher = vectors(0, 4, 3), vectors(1, 4, 5)

    def huber(difference):
        return difference**2 / 2 if abs(difference) <= 1 else abs(difference) - 0.5

    def distance(x, i, j):
        return (x[i] - x[j]).norm().item()

    def cosine(x, i, j, k):
        return torch.cosine_similarity(x[i] - x[j], x[k] - x[j], dim=0).item()

    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    triples = [(i, j, k) for i, j in pairs for k in range(4) if k not in (i, j)]
    means = [sum(distance(x, *pair) for pair in pairs) / 12 for x in (student, teacher)]
    of_pairs = sum(huber(distance(student, *pair) / means[0] - distance(teacher, *pair) / means[1]) for pair in pairs)
    of_triples = sum(huber(cosine(student, *triple) - cosine(teacher, *triple)) for triple in triples)
    assert rkd_loss(student, teacher).item() == pytest.approx(25 * of_pairs / 16 + 50 * of_triples / 64)


@pytest.mark.parametrize('num', [1, 2])
def test_one_image_has_no_relations_and_two_have_but_one_distance(num):
    x = vectors(2, num, 3).requires_grad_()
    loss = rkd_loss(x, vectors(3, num, 5))
    loss.backward()
    assert loss.item() == pytest.approx(0.) and x.grad.isfinite().all()


def test_equal_vectors_lose_nothing():
    x = vectors(4, 5, 3)
    assert rkd_loss(x, x).item() == 0


def test_scale_shift_rotation_and_the_order_of_the_images_do_not_matter():
    student, teacher = vectors(5, 4, 3), vectors(6, 4, 5)
    expected, (rotation, _) = rkd_loss(student, teacher), torch.linalg.qr(vectors(7, 3, 3))
    order = [2, 0, 3, 1]
    torch.testing.assert_close(rkd_loss(0.1 * student @ rotation + 3, 7 * teacher - 1), expected)
    torch.testing.assert_close(rkd_loss(student[order], teacher[order]), expected)


@pytest.mark.parametrize('weights', [(1., 0.), (0., 1.)])
def test_gradient_is_that_of_finite_differences(weights):
    teacher = vectors(9, 4, 5)
    assert torch.autograd.gradcheck(lambda x: rkd_loss(x, teacher, *weights), vectors(10, 4, 3).requires_grad_())


@pytest.mark.parametrize('dtype, scale', [(torch.float16, 60), (torch.bfloat16, 60), (torch.float32, 60),
                                          (torch.float32, 1e30), (torch.float32, 1e-30)])
def test_states_of_any_size_have_the_same_loss_and_a_finite_gradient(dtype, scale):
    student, teacher = vectors(11, 8, 32), vectors(12, 8, 64)
    x = (scale * student).to(dtype).requires_grad_()
    loss = rkd_loss(x, (scale * teacher).to(dtype))
    loss.backward()
    assert loss.dtype == torch.float32 and x.grad.isfinite().all()
    assert loss.item() == pytest.approx(rkd_loss(student, teacher).item(), rel=0.02)


@pytest.mark.parametrize('x', [torch.zeros(3, 2), torch.ones(3, 2), torch.tensor([[1., 2.], [1., 2.], [3., 1.]])])
def test_images_that_coincide_have_a_finite_gradient(x):
    x.requires_grad_()
    rkd_loss(x, vectors(13, 3, 2).float()).backward()
    assert x.grad.isfinite().all()


def test_autocast_rounds_neither_distances_nor_products():
    student, teacher = vectors(14, 8, 32).float(), vectors(15, 8, 32).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        within = rkd_loss(student, teacher)
    assert within == rkd_loss(student, teacher)


@pytest.mark.parametrize('wrong, message', [
    (dict(distance=-1.), 'distance must be a finite number >= 0, got -1.0'),
    (dict(angle=math.inf), 'angle must be a finite number >= 0, got inf'),
    (dict(distance=0., angle=0), 'distance and angle are both 0')])
def test_weights_are_checked_before_training_and_in_the_function(wrong, message):
    with pytest.raises(ValueError, match=message):
        RKDLoss(**wrong)
    with pytest.raises(ValueError, match=message):
        rkd_loss(LINE, LINE, **wrong)


def test_another_number_of_images_is_refused():
    with pytest.raises(ValueError, match=r'got \(3, 1\) of the student and \(2, 2\) of the teacher'):
        rkd_loss(LINE, torch.zeros(2, 2))


def test_term_is_built_from_a_config_and_takes_the_mean_of_the_last_state(make_distiller):
    distiller = make_distiller(losses={'rkd': dict(type='mmamd.RKDLoss', angle=2.)}).eval()
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    student, (teacher,) = distiller.run(images, None), distiller.teach(images, None)
    own, others = (outputs.states['backbone.layers.1'] for outputs in (student, teacher))
    expected = rkd_loss(own[:, 1:].mean(1), others[:, 1:].mean(1), 25., 2.)  # token 0 is the class token
    torch.testing.assert_close(distiller.terms['rkd'].compare(student, teacher, 0), expected)
    assert expected > 0
    term = MODELS.build(dict(type='mmamd.RKDLoss'))
    assert (term.weight, term.distance, term.angle) == (1., 25., 50.)


def test_layers_of_any_two_shapes_are_compared_without_a_connector():
    term = RKDLoss(layer=('own', 'other'))
    term.pairs = [[('own', 'other')]]
    student, teacher = (Outputs(nn.Sequential(), None, [], None, {name: state}) for name, state in (
        ('own', vectors(0, 3, 4, 2, 2)), ('other', vectors(1, 3, 7))))
    term.build(student, [teacher], 0)
    assert term.compare(student, teacher, 0) == rkd_loss(pooled(student.states['own'], None), teacher.states['other'])


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be 'last' or a pair of names of modules.*got 'first'"):
        RKDLoss(layer='first')
