import math
from datetime import timedelta

import pytest
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn as nn
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from mmamd.distillation.losses.crd import (
    Contrast,
    CRDLoss,
    Embedding,
    crd_loss,
    draw_images,
    places_of,
    pooled,
    without_own,
)
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# With T = 1, 2 negatives and 4 images: e = 1 for the positive, 1/2 and 1 for the negatives, compared with 2/4.
POSITIVE, NEGATIVES = torch.zeros(1), torch.tensor([[math.log(0.5), 0.]])


def outputs(features, places, labels=None):
    samples = [DataSample(metainfo=dict(sample_idx=place)).set_gt_label(label)
               for place, label in zip(places, labels or [0] * len(places), strict=True)]
    return Outputs(nn.Sequential(), None, samples, torch.zeros(len(places), 3), {'x': features})


def built(num_images=4, **settings):
    """A term of one teacher whose embeddings are the two features themselves."""
    term = CRDLoss(**{**dict(dim=2, negatives=2, temperature=1., layer=('x', 'x'), normalize=False), **settings})
    term.pairs = [[('x', 'x')]]
    example = outputs(torch.zeros(1, 2), [0])
    torch.manual_seed(0)
    term.build(example, [example], num_images)
    for embedding in (term.contrasts[0].student, term.contrasts[0].teacher):
        nn.init.eye_(embedding.weight)
        nn.init.zeros_(embedding.bias)
    return term


# --- the formula ---

@pytest.mark.parametrize('temperature, normalizer, expected', [
    # h = 1/(1 + 1/2) = 2/3; of the negatives (1/2)/(1/2 + 1/2) = 1/2 and 2/3, so that 1 - h is 1/2 and 1/3.
    (1., 1., math.log(3 / 2) + math.log(2) + math.log(3)),
    # With Z = 2 all are compared with 1: h = 1/2; 1 - h is 2/3 and 1/2.
    (1., 2., math.log(2) + math.log(3 / 2) + math.log(2)),
    # With T = 1/2 the second e is 1/4: h = 1/3, and 1 - h is 2/3.
    (0.5, 1., math.log(3 / 2) + math.log(3 / 2) + math.log(3))])
def test_value_by_hand(temperature, normalizer, expected):
    assert crd_loss(POSITIVE, NEGATIVES, 4, temperature, math.log(normalizer)).item() == pytest.approx(expected)


def test_loss_is_the_mean_over_samples():
    positive, negatives = torch.randn(3), torch.randn(3, 5)
    single = [crd_loss(positive[i:i + 1], negatives[i:i + 1], 9) for i in range(3)]
    torch.testing.assert_close(crd_loss(positive, negatives, 9), torch.stack(single).mean())


def test_it_falls_with_the_positive_and_rises_with_each_negative():
    at = crd_loss(POSITIVE, NEGATIVES, 4)
    assert crd_loss(POSITIVE + 0.1, NEGATIVES, 4) < at
    for k in range(2):
        assert crd_loss(POSITIVE, NEGATIVES + 0.1 * torch.eye(2)[k], 4) > at


def test_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    positive, negatives = (torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_()
                           for shape in ((3,), (3, 4)))
    assert torch.autograd.gradcheck(lambda p, n: crd_loss(p, n, 10, 0.5, 1.), (positive, negatives))


@given(st.sampled_from([torch.float32, torch.bfloat16, torch.float16]), st.floats(1e-3, 10.))
def test_cosines_of_any_size_and_features_times_sixty_give_finite_loss_and_gradient(dtype, temperature):
    cosines = torch.tensor([[-1., 0., 1.]]).to(dtype).requires_grad_()
    crd_loss(cosines[:, 0], cosines, 100, temperature).backward()
    assert cosines.grad.isfinite().all()
    features = (60 * torch.randn(3, 2)).to(dtype).requires_grad_()
    term = built(temperature=temperature, normalize=True)
    loss = term.compare(outputs(features, [0, 1, 2]), outputs(features.detach(), [0, 1, 2]), 0)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and features.grad.isfinite().all()


@pytest.mark.parametrize('positive, negatives', [(POSITIVE, POSITIVE), (torch.zeros(2), NEGATIVES),
                                                 (POSITIVE, torch.zeros(1, 0))])
def test_shapes_that_do_not_agree_are_refused(positive, negatives):
    with pytest.raises(ValueError, match=r'CRD needs cosines of shape \(N,\) and of shape \(N, K\) with K >= 1; got'):
        crd_loss(positive, negatives, 4)


# --- the draw ---

def test_what_is_drawn_follows_seed_and_iteration_alone():
    drawn = draw_images(1000, 50, 3, 7)
    torch.manual_seed(1)
    assert torch.equal(draw_images(1000, 50, 3, 7), drawn)
    assert not torch.equal(draw_images(1000, 50, 3, 8), drawn)
    assert not torch.equal(draw_images(1000, 50, 4, 7), drawn)
    assert drawn.unique().numel() == 50 and drawn.dtype == torch.int64 and 0 <= drawn.min() and drawn.max() < 1000
    assert sorted(draw_images(6, 6, 0, 0).tolist()) == list(range(6))


def test_each_sample_has_as_many_other_images():
    values = torch.tensor([[10, 11, 12], [20, 21, 22], [30, 31, 32]])
    # Image 7 was drawn second, image 9 last, image 0 not at all.
    found = without_own(values, torch.tensor([5, 7, 9]), torch.tensor([7, 9, 0]))
    assert found.tolist() == [[10, 12], [20, 21], [30, 31]]


# --- embeddings and banks ---

def test_an_embedding_is_the_direction_of_the_mean_over_positions():
    embed = Embedding(2, 2)
    nn.init.zeros_(embed.bias)
    nn.init.eye_(embed.weight)
    # Mean (3, 4); its direction is (.6, .8).
    maps = torch.tensor([[[[2., 4.]], [[4., 4.]]]])
    for features in (maps, maps.flatten(2).transpose(1, 2), torch.tensor([[3., 4.]])):
        torch.testing.assert_close(embed(features), torch.tensor([[0.6, 0.8]]))
    assert pooled(maps).shape == (1, 2)


def test_the_normalizer_is_the_number_of_images_times_the_mean_over_pairs_of_the_banks():
    contrast = Contrast(2, 2, 4, 3, 0.5)
    expected = 3 * (contrast.student_bank @ contrast.teacher_bank.T / 0.5).exp().mean()
    torch.testing.assert_close(contrast.log_normalizer.exp(), expected)
    torch.testing.assert_close(contrast.student_bank.norm(dim=1), torch.ones(3))


def test_value_of_the_term_by_hand_and_that_both_ways_count():
    term = built(num_images=3, negatives=1)
    contrast = term.contrasts[0]
    # Of 3 images 2 are drawn. Image 1 has what its networks see; the other one, whichever it is, is at right angles.
    contrast.teacher_bank[:] = torch.tensor([[0., 1.], [1., 0.], [0., 1.]])
    contrast.student_bank[:] = torch.tensor([[0., -1.], [1., 0.], [0., -1.]])
    student, teacher = outputs(torch.tensor([[5., 0.]]), [1]), outputs(torch.tensor([[2., 0.]]), [1])
    # Positive: cosine 1, e = exp(1). Negatives: cosine 0, e = 1. Both are compared with 1/3, both ways alike.
    one_way = math.log(1 + 1 / (3 * math.e)) + math.log(1 + 3)
    assert term.compare(student, teacher, 0).item() == pytest.approx(2 * one_way)
    # The teacher's (0, 1) has cosine 0 with the image's place in the student's bank, and -1 with the others.
    teacher = outputs(torch.tensor([[0., 2.]]), [1])
    from_teacher = math.log(1 + 1 / 3) + math.log(1 + 3 / math.e)
    assert term.compare(student, teacher, 0).item() == pytest.approx(one_way + from_teacher)


def test_a_drift_of_all_embeddings_does_not_pass_for_telling_images_apart():
    term = built(num_images=9, negatives=3, temperature=0.2)
    for bank in (term.contrasts[0].student_bank, term.contrasts[0].teacher_bank):
        bank[:] = torch.tensor([1., 0.])  # all images look alike
    # The least that a guess of one in four can have, each way: h = 1/4 of all.
    guessed = -math.log(1 / 4) - 3 * math.log(3 / 4)
    for angle in torch.linspace(0., math.pi, 9):
        turned = outputs(torch.stack([angle.cos(), angle.sin()]).unsqueeze(0), [4])
        assert term.compare(turned, turned, 0) >= 2 * guessed


def test_the_term_calls_the_function_with_what_was_drawn_of_the_banks():
    term, places = built(num_images=9, negatives=3, temperature=0.2, normalize=True), torch.tensor([4, 8])
    contrast = term.contrasts[0]
    generator = torch.Generator().manual_seed(1)
    own, other = torch.nn.functional.normalize(torch.randn(2, 2, 2, generator=generator), dim=2)
    drawn = draw_images(9, 4, int(term.seed), 0)
    expected = 0.
    for anchor, bank in ((own, contrast.teacher_bank), (other, contrast.student_bank)):
        negatives = without_own(anchor @ bank[drawn].T, drawn, places)
        expected += crd_loss((anchor * bank[places]).sum(1), negatives, 9, 0.2, contrast.log_normalizer)
    student, teacher = outputs(own, places.tolist()), outputs(other, places.tolist())
    torch.testing.assert_close(term.compare(student, teacher, 0), expected)
    first = term.compare(student, teacher, 0)
    term.iteration += 1
    assert term.compare(student, teacher, 0) != first


def test_banks_after_a_step_by_hand():
    term = built(momentum=0.25)
    contrast = term.contrasts[0]
    contrast.student_bank[:] = torch.tensor([1., 0.])
    contrast.teacher_bank[:] = torch.tensor([1., 0.])
    # Image 2 comes twice: its first embedding counts. A quarter of (1, 0) and three quarters of (0, 1) are (1, 3)/4,
    # of length sqrt(10)/4; with (-1, 0) they are (-2, 0)/4.
    student = outputs(torch.tensor([[0., 7.], [-3., 0.], [1., 0.]]), [2, 0, 2])
    teacher = outputs(torch.tensor([[-1., 0.], [2., 0.], [0., 1.]]), [2, 0, 2])
    term.after_step(student, [teacher])
    torch.testing.assert_close(contrast.student_bank, torch.tensor(
        [[-1., 0.], [1., 0.], [1 / math.sqrt(10), 3 / math.sqrt(10)], [1., 0.]]))
    torch.testing.assert_close(contrast.teacher_bank, torch.tensor([[1., 0.], [1., 0.], [-1., 0.], [1., 0.]]))
    assert int(term.iteration) == 1


@pytest.mark.parametrize('overflowed', [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_leaves_the_bank_of_its_network_as_it_was(overflowed):
    term = built()
    contrast = term.contrasts[0]
    before = {name: bank.clone() for name, bank in contrast.named_buffers()}
    student = outputs(torch.tensor([[overflowed, 7.], [-3., 0.]]), [2, 0])
    teacher = outputs(torch.tensor([[-1., 0.], [2., overflowed]]), [2, 0])
    term.after_step(student, [teacher])
    assert (contrast.student_bank != before['student_bank']).any(dim=1).tolist() == [True, False, False, False]
    assert (contrast.teacher_bank != before['teacher_bank']).any(dim=1).tolist() == [False, False, True, False]
    later = outputs(torch.ones(1, 2), [2])
    assert term.compare(later, later, 0).isfinite()


def test_what_it_remembers_survives_a_checkpoint():
    one, other = built(), built()
    student, teacher = (outputs(torch.randn(2, 2), [1, 3]) for _ in range(2))
    one.after_step(student, [teacher])
    other.seed += 1
    assert one.compare(student, teacher, 0) != other.compare(student, teacher, 0)
    assert set(one.state_dict()) == {'seed', 'iteration', *(f'contrasts.0.{name}' for name in (
        'student.weight', 'student.bias', 'teacher.weight', 'teacher.bias', 'student_bank', 'teacher_bank',
        'log_normalizer'))}
    other.load_state_dict(one.state_dict())
    assert one.compare(student, teacher, 0) == other.compare(student, teacher, 0)


def test_each_teacher_has_banks_of_its_own():
    term = CRDLoss(dim=2, negatives=2, layer=('x', 'x'))
    term.pairs = [[('x', 'x')]] * 2
    student, wide = outputs(torch.ones(1, 2), [0]), outputs(torch.ones(1, 5), [0])
    term.build(student, [student, wide], 4)
    assert [contrast.teacher.in_features for contrast in term.contrasts] == [2, 5]
    before = [contrast.teacher_bank.clone() for contrast in term.contrasts]
    term.after_step(student, [student, wide])
    for bank, contrast in zip(before, term.contrasts, strict=True):
        assert (contrast.teacher_bank != bank).any(dim=1).tolist() == [True, False, False, False]


# --- two processes ---

def batch(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(2, 4, 2, generator=generator), torch.randperm(6, generator=generator)[:4].tolist()


def banks_after_each_step(part=slice(None)):
    term, found = built(num_images=6), []
    for step in range(3):
        (student, teacher), places = batch(step)
        term.after_step(outputs(student[part], places[part]), [outputs(teacher[part], places[part])])
        found.append({name: value.clone() for name, value in term.state_dict().items()})
    return found


def remember_part(rank, folder, first):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    torch.save(banks_after_each_step([slice(0, first), slice(first, 4)][rank]), folder / f'rank_{rank}.pth')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('first', [2, 3])  # samples that the first process has
def test_banks_of_two_processes_are_equal_after_every_step_and_those_of_one_with_the_whole_batch(tmp_path, first):
    torch.multiprocessing.spawn(remember_part, (tmp_path, first), nprocs=2)
    ranks = [torch.load(tmp_path / f'rank_{rank}.pth') for rank in range(2)]
    for first, second, alone in zip(*ranks, banks_after_each_step(), strict=True):
        for name, value in alone.items():
            assert torch.equal(first[name], second[name]), name
            torch.testing.assert_close(first[name], value)


# --- in a distiller ---

def test_the_backbones_features_are_embedded_and_soft_labels_are_not_read(make_distiller):
    distiller = make_distiller(losses={'crd': dict(type='mmamd.CRDLoss', negatives=7)}, candidates=None)
    term = distiller.terms['crd']
    assert term.pairs == [[('backbone', 'backbone')]] and term.weight == 0.8
    assert term.contrasts[0].student.weight.shape == (128, 8)
    features = torch.ones(1, 8)
    hard, soft = (outputs(features, [3]) for _ in range(2))
    soft.samples[0].set_gt_score(torch.tensor([0.5, 0.5, 0.]))
    for each in (hard, soft):
        each.states = {'backbone': features}
    assert term.compare(hard, hard, 0) == term.compare(soft, soft, 0)


# --- what is refused ---

@pytest.mark.parametrize('wrong, message', [
    (dict(dim=0), 'dim must be a positive integer, got 0'),
    (dict(negatives=2.5), 'negatives must be a positive integer, got 2.5'),
    (dict(temperature=0.), 'temperature must be a positive finite number, got 0.0'),
    (dict(momentum=1.), r'momentum must lie in \[0, 1\), got 1.0; 1 would leave the banks'),
    (dict(layer='backbone'), "layer must be a pair of names of modules, .*got 'backbone'"),
    (dict(layer=(1, 2)), r'layer must be a pair of names of modules, .*got \(1, 2\)')])
def test_numbers_and_layers_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        CRDLoss(**wrong)


@pytest.mark.parametrize('negatives', [10, 11, 4096])
def test_more_negatives_than_other_images_are_refused(make_distiller, negatives):
    with pytest.raises(ValueError, match='losses.crd: negatives must be less than the number of training images, 10, '
                                         f'got {negatives}; set negatives=9 or fewer'):
        make_distiller(losses={'crd': dict(type='mmamd.CRDLoss', negatives=negatives)}, num_images=10, candidates=None)
    make_distiller(losses={'crd': dict(type='mmamd.CRDLoss', negatives=9)}, num_images=10, candidates=None)


def test_samples_without_a_place_are_refused():
    with pytest.raises(ValueError, match='sample 1 of the batch has none; name it in meta_keys of the transform'):
        places_of([DataSample(metainfo=dict(sample_idx=0)), DataSample()], 4)
    for place in (4, -1, 1.5):
        with pytest.raises(ValueError, match=f'sample 0 of the batch has sample_idx={place}, .*place .* 0 to 3'):
            places_of([DataSample(metainfo=dict(sample_idx=place))], 4)


def test_two_images_of_one_place_are_refused_and_one_image_may_come_twice():
    def sample(place, path, label):
        return DataSample(metainfo=dict(sample_idx=place, img_path=path)).set_gt_label(label)
    for other in (sample(1, 'a', 2), sample(1, 'b', 0)):
        with pytest.raises(ValueError, match='samples 0 and 2 of the batch are two images of one sample_idx=1, .*train '
                                             'on one data set'):
            places_of([sample(1, 'a', 0), sample(0, 'c', 0), other], 4)
    assert places_of([sample(1, 'a', 0), sample(0, 'c', 0), sample(1, 'a', 0)], 4).tolist() == [1, 0, 1]


def test_the_term_is_registered():
    assert MODELS.get('mmamd.CRDLoss') is CRDLoss and CRDLoss.needs_places
