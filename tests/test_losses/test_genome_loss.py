import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from pairs import cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.distillation.connectors import Leading
from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.distillation.losses.dist import dist_loss
from mmamd.distillation.losses.genome import GenomeLoss, genome_loss
from mmamd.distillation.losses.logit import logit_loss
from mmamd.distillation.losses.loss import build_terms
from mmamd.distillation.losses.sp import sp_loss
from mmamd.distillation.losses.wsld import soft_label_weights, wsld_loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import KD_DISTANCES, KD_TRANSFORMS

TARGET = torch.tensor([0, 2, 1, 2])


def genome(what, transforms, distance, *rest):
    return Genome(what, (*transforms.split(), *['no'] * 3)[:3], distance, *rest)


def pair(*shape, dtype=torch.float32):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype).unbind()


def rand(slot, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(slot))


def value(genome, student, teacher, logits=None, target=TARGET):
    return genome_loss(genome, student, teacher, *(pair(4, 5) if logits is None else logits), target, rand)


# --- known methods as genomes ---

def test_kd():
    student, teacher = pair(4, 7)
    torch.testing.assert_close(value(genome('logits', '', 'KL', 'no', 1, 4), student, teacher),
                               logit_loss(student, teacher, 4.))


def test_dist_between_classes():
    student, teacher = pair(4, 7)
    torch.testing.assert_close(value(genome('logits', 'softmax_C', 'Pearson'), student, teacher),
                               dist_loss(student, teacher, gamma=0.))


def test_sp_whose_sum_over_n_squared_is_a_mean():
    student, teacher = pair(4, 6, 3, 3)
    torch.testing.assert_close(value(genome('feature', 'mm norm_C', 'l2'), student, teacher),
                               sp_loss(*(x.flatten(1) for x in (student, teacher))))


def test_icc_of_ickd():
    # ICKD (Liu et al., ICCV 2021): squared differences of the channels' correlations, rows at length 1, over N C.
    student, teacher = pair(4, 6, 3, 3)
    grams = [F.normalize(torch.bmm(x.flatten(2), x.flatten(2).mT), dim=2) for x in (student, teacher)]
    expected = (grams[0] - grams[1]).square().sum() / (4 * 6)
    torch.testing.assert_close(6 * value(genome('feature', 'bmm norm_HW', 'l2'), student, teacher), expected)


def test_wsld_up_to_the_weighted_entropy_of_the_teacher():
    logits = student, teacher = pair(4, 5, dtype=torch.float64)
    found = value(genome('logits', '', 'KL', 'focal', 1, 2), student.requires_grad_(), teacher, logits)
    soft = (teacher / 2).softmax(1)
    entropy = -(soft * soft.log()).sum(1)
    expected = wsld_loss(student, teacher, TARGET, 2.)
    constant = 4 * (soft_label_weights(student, teacher, TARGET) * entropy).mean()
    torch.testing.assert_close(found + constant, expected)
    torch.testing.assert_close(*(torch.autograd.grad(each, student)[0] for each in (found, expected)))


# --- properties ---

@pytest.mark.parametrize('tau', [4., 8.])
def test_the_temperature_cancels_for_squared_differences_and_is_a_square_where_scale_does_not_count(tau):
    student, teacher = pair(4, 6)
    for transforms, factor in (('', 1), ('norm_C', tau**2)):
        plain, softened = (value(genome('logits', transforms, 'l2', 'no', 10, each), student, teacher)
                           for each in (1., tau))
        torch.testing.assert_close(softened, factor * plain)


def test_the_weight_multiplies_and_a_batchs_distance_is_calibrated_by_the_mean():
    student, teacher = pair(4, 6)
    one, ten = (value(genome('logits', '', 'l1', 'conf', weight), student, teacher) for weight in (1, 10))
    torch.testing.assert_close(ten, 10 * one)
    logits = pair(4, 5)
    torch.testing.assert_close(
        value(genome('logits', '', 'Correlation', 'conf'), student, teacher, logits),
        logits[1].softmax(1).amax(1).mean() * value(genome('logits', '', 'Correlation'), student, teacher, logits))


@pytest.mark.parametrize('distance', sorted(set(KD_DISTANCES.module_dict) - {'hard', 'Correlation'}))
def test_nothing_is_nearer_than_the_teacher_itself_after_any_transform_random_ones_included(distance):
    _, teacher = pair(4, 16, 4, 4)
    for name, transform in KD_TRANSFORMS.module_dict.items():
        # The correlation of what does not vary, such as what is masked, is 0 by definition.
        if name == 'sqrt' or distance in ('Pearson', 'Cosine') and name == 'mask':
            continue
        assert transform(teacher, partial(rand, 0)).isfinite().all()
        found = value(genome('feature', name, distance), teacher, teacher)
        assert found.item() == pytest.approx(0., abs=1e-5), name


@pytest.mark.parametrize('distance', sorted(set(KD_DISTANCES.module_dict) - {'hard', 'Correlation'}))
def test_nothing_is_nearer_than_the_teacher_itself_after_any_three_transforms(distance):
    _, teacher = pair(4, 16, 4, 4, dtype=torch.float64)
    draw, compared = random.Random(distance), 0
    names = sorted(name for name, transform in KD_TRANSFORMS.module_dict.items() if not transform.draws)
    for _ in range(60):
        three, found = draw.choices(names, k=3), teacher
        for name in three:
            found = KD_TRANSFORMS.module_dict[name](found, None)
        varies = found.flatten(1).std(1).min() > 1e-6 if found.ndim == 2 else found.std(1).min() > 1e-6
        if not found.isfinite().all() or distance in ('Pearson', 'Cosine') and not varies:
            continue  # such a distiller is rejected, or the correlation of what does not vary is 0 by definition
        compared += 1
        size = max(1., found.abs().max().item())
        assert value(genome('feature', ' '.join(three), distance), teacher, teacher).item() == pytest.approx(
            0., abs=1e-6 * size), three
    assert compared > 30


# --- the term ---

def term(text):
    return dict(type='mmamd.GenomeLoss', genome=str(text))


def test_candidates_are_trained_by_every_kind_of_knowledge():
    found = [genome('logits', 'softmax_C', 'Pearson', 'focal', 1, 4),
             genome('feature', 'mask norm_HW', 'l2', 'sim', 10), genome('embedding', 'drop', 'Cosine', 'entropy')]
    distiller = cnn_distiller({each.input: term(each) for each in found})
    assert not [name for name, _ in distiller.named_parameters() if name.startswith('terms')], 'one architecture'
    assert all(value > 1e-4 for value in steps(distiller))
    assert all(p.grad.isfinite().all() for p in distiller.network.parameters() if p.requires_grad)


def test_tokens_are_maps_and_a_class_token_an_embedding(make_distiller):
    distiller = make_distiller(losses={each.input: term(each) for each in (
        genome('feature', 'bmm norm_HW', 'l2'), genome('embedding', 'softmax_C', 'Pearson'))})
    (block, _), = distiller.terms['feature'].pairs[0]
    assert block.startswith('backbone.layers.') and distiller.terms['embedding'].pairs == [[('backbone', 'backbone')]]
    images = torch.randn(3, *distiller.teacher.backbone.input_shape, generator=torch.Generator().manual_seed(0))
    teacher, = distiller.teach(images, [None] * 3)
    student = distiller.run(images, [None] * 3)
    for each in distiller.terms.values():
        assert each.compare(teacher, teacher, 0).item() == pytest.approx(0., abs=1e-6)
        assert each.compare(student, teacher, 0).isfinite()


def test_a_student_of_another_architecture_is_aligned():
    # VGG's last maps are 1 x 1 of 8 channels, those of the WideResNet 2 x 2 of 64.
    with pytest.raises(ValueError, match='another architecture needs layer='):
        external_distiller(dict(feature=term(genome('feature', 'channel', 'KL'))))
    distiller = external_distiller(dict(
        feature={**term(genome('feature', 'channel', 'KL')), 'layer': ('backbone', 'backbone')},
        embedding=term(genome('embedding', 'batchnorm', 'l2'))))
    steps(distiller)
    for each in distiller.terms.values():
        connector, = each.connectors
        assert connector.weight.shape == (64, 8) and connector.weight.grad.abs().max() > 0


def alone(found, shape=(4, 6, 4, 4), logits=None):
    """The term, built for one layer of two networks that are not there; and the outputs of both."""
    states, logits = pair(*shape), pair(len(TARGET), 5) if logits is None else logits
    own, other = (Outputs(nn.Sequential(), None, [], each, {'layer': state})
                  for each, state in zip(logits, states, strict=True))
    term = GenomeLoss(genome=str(found), layer=('layer', 'layer'))
    term.pairs = [[] if found.input == 'logits' else [('layer', 'layer')]]
    term.build(own, [other], 0)
    return term, own, other


def test_logits_of_a_segmentor_are_compared_at_every_position():
    term, own, other = alone(genome('logits', 'softmax_C', 'Pearson', 'conf'), logits=pair(4, 5, 3, 3))
    student, teacher = (x.logits.softmax(1) - x.logits.softmax(1).mean(1, keepdim=True) for x in (own, other))
    distance_N = (1 - F.cosine_similarity(student, teacher, dim=1)).mean(dim=(1, 2))
    weights_N = other.logits.softmax(1).amax(1).mean(dim=(1, 2))
    torch.testing.assert_close(term.compare(own, other, 0), (weights_N * distance_N).mean())


def test_a_calibration_by_the_label_of_an_image_is_refused_for_a_segmentor():
    with pytest.raises(ValueError, match=r'cal:\[focal\] needs one label an image, .* take cal:\[no\], cal:\[entropy'):
        alone(genome('logits', 'softmax_C', 'Pearson', 'focal'), logits=pair(4, 5, 3, 3))


def test_random_transforms_hide_the_same_of_both_and_other_things_in_another_step():
    term, own, other = alone(genome('feature', 'mask', 'l2'))
    term.connectors = nn.ModuleList([Leading()])
    assert term.compare(other, other, 0) == 0
    first, again = (term.compare(own, other, 0) for _ in range(2))
    own.progress = 0.5
    assert first == again != term.compare(own, other, 0)


def test_what_has_no_effect_is_said(monkeypatch):
    said = []
    monkeypatch.setattr('mmamd.distillation.losses.genome.notice', lambda text, *_: said.append(text))
    alone(genome('feature', 'softmax_HW no exp', 'l2'))
    alone(genome('logits', 'softmax_HW exp', 'l2'), logits=pair(4, 5, 2, 2))
    assert not said
    alone(genome('logits', 'softmax_HW exp', 'l2'))
    assert len(said) == 1 and 'have no effect on its logits' in said[0] and 'trans:[exp|no|no]' in said[0]


def test_a_batch_of_one_has_nothing_to_compare():
    term, own, other = alone(genome('logits', 'mm natt', 'Correlation'))
    own.logits, other.logits = own.logits[:1], other.logits[:1]
    with pytest.raises(ValueError, match='natt, Correlation compare the images of a batch, got a batch of one; use a'):
        term.compare(own, other, 0)
    assert term.eval().compare(own, other, 0).isfinite(), 'a distiller is built by one image'


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="layer must be 'last' or a pair of names"):
        GenomeLoss(genome=EXAMPLE, layer='first')
    with pytest.raises(ValueError, match="layer must be a pair of names"):
        GenomeLoss(genome=EXAMPLE, embedding='last')
    with pytest.raises(ValueError, match='losses.found: .* is no genome'):
        build_terms(dict(found=term('softmax_C')))
    with pytest.raises(ValueError, match=r"'layer' of the student: a state of shape \(4, 6\) cannot be made maps"):
        alone(genome('feature', '', 'l2'), shape=(4, 6))
    with pytest.raises(ValueError, match="'layer' of the student: a state of shape .* cannot be made maps"):
        alone(genome('embedding', '', 'l2'), shape=(4, 6, 1, 1, 1))
    for found in (genome('logits', '', 'l2'), genome('feature', '', 'l2', 'sim')):
        with pytest.raises(ValueError, match=r'has logits \(5,\) and the teacher \(3,\), which the genome compares'):
            alone(found, logits=(torch.zeros(4, 5), torch.zeros(4, 3)))
    alone(genome('feature', '', 'l2'), logits=(torch.zeros(4, 5), torch.zeros(4, 3)))


def test_the_default_is_the_relation_between_classes_that_dist_has():
    student, teacher = pair(4, 7)
    torch.testing.assert_close(value(GenomeLoss().genome, student, teacher),
                               16 * dist_loss(student / 4, teacher / 4, gamma=0.))
    assert GenomeLoss().weight == 1.0
