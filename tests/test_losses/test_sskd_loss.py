import copy
import math
from dataclasses import replace

import pytest
import torch
from mmpretrain.structures import DataSample
from pairs import cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.backbones.recalibration import statistics
from mmamd.distillation.losses.sskd import (
    SSKDLoss,
    contrastive_loss,
    cosines,
    kept_rows,
    ranked_loss,
    sources,
    turned,
)
from mmamd.distillation.outputs import Outputs
from mmamd.structures import Cost

SSKD = {'sskd': dict(type='mmamd.SSKDLoss')}
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SAMPLES = [DataSample().set_gt_label(label) for label in (0, 2, 1, 2)]


def log(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


def scores(seed, rows=6, columns=4, times=3.):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (times * torch.randn(2, rows, columns, generator=generator, dtype=torch.float64)).unbind()
    return student, teacher, torch.randint(columns, (rows,), generator=generator)


# --- formulas ---

def test_images_are_turned_by_one_two_and_three_quarters_one_image_after_the_other():
    images = torch.tensor([[1, 2], [3, 4]]) + torch.tensor([0, 10]).view(2, 1, 1, 1)
    expected = [[[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    assert turned(images)[:3, 0].tolist() == expected
    assert torch.equal(turned(images)[3:], turned(images)[:3] + 10)
    assert sources(turned(images)).tolist() == [0, 0, 0, 1, 1, 1]
    again = turned(turned(images)[:1])
    assert torch.equal(again[2], images[0]), 'a quarter and three more'


def test_right_rows_and_the_better_ranked_of_the_wrong_ones_are_kept():
    # Column 0 is right. Its ranks: 0, 2, 1, 1, 2, so four rows are wrong; of those of equal rank the first is kept.
    rows = torch.tensor([[3., 2., 1.], [1., 2., 3.], [2., 3., 1.], [2., 1., 3.], [0., 5., 5.]])
    kept = {share: kept_rows(rows, torch.zeros(5, dtype=torch.long), share).nonzero().flatten().tolist()
            for share in (0., 0.25, 0.5, 0.75, 0.99, 1.)}
    assert kept == {0.: [0], 0.25: [0, 2], 0.5: [0, 2, 3], 0.75: [0, 1, 2, 3], 0.99: [0, 1, 2, 3], 1.: [0, 1, 2, 3, 4]}


def test_of_equal_scores_the_lower_column_ranks_higher():
    assert kept_rows(torch.zeros(2, 3), torch.tensor([0, 1]), 0.).tolist() == [True, False]


def test_a_share_that_is_a_whole_number_of_rows_is_that_number():
    assert kept_rows(torch.zeros(100, 2), torch.ones(100, dtype=torch.long), 0.29).sum() == 29


def test_value_by_hand_and_the_mean_is_over_the_kept_rows():
    # Row 1, right: (1/2) log 2 - (1/4) log 2. Row 2, whose right column 0 ranks second: (1/2) log (3/2) + 0 +
    # (1/6) log (1/2) of teacher (1/3, 1/2, 1/6) and student (1/3, 1/3, 1/3).
    student = log((0.25, 0.5, 0.25), (1 / 3, 1 / 3, 1 / 3))
    teacher = log((0.5, 0.25, 0.25), (1 / 3, 1 / 2, 1 / 6))
    right = torch.tensor([0, 0])
    first, second = 0.25 * math.log(2), 0.5 * math.log(1.5) - math.log(2) / 6
    assert ranked_loss(student, teacher, right, 1., 0.).item() == pytest.approx(first)
    assert ranked_loss(student, teacher, right, 1., 1.).item() == pytest.approx((first + second) / 2)


def test_the_temperature_softens_both_and_its_square_multiplies_the_loss():
    # Softened by 2 the roots count: (4, 2, 1)/7 of the teacher, (1, 2, 4)/7 of the student: (4/7 - 1/7) log 4, times 4.
    student, teacher = log((1, 4, 16)), log((16, 4, 1))
    assert ranked_loss(student, teacher, torch.tensor([0]), 2.).item() == pytest.approx(12 / 7 * math.log(4))


def test_a_student_like_the_teacher_has_no_loss_and_no_gradient():
    _, teacher, right = scores(0)
    student = (teacher + 5.).requires_grad_()  # blind to shift
    loss = ranked_loss(student, teacher, right, 0.5, 0.75)
    loss.backward()
    assert loss.item() == pytest.approx(0., abs=1e-12) and student.grad.abs().max() < 1e-12


def test_rows_that_are_left_out_have_no_gradient_and_none_at_all_is_zero():
    student, teacher, right = scores(1)
    kept = kept_rows(teacher, right, 0.5)
    assert 0 < kept.sum() < len(kept)
    ranked_loss(student.requires_grad_(), teacher, right, 4., 0.5).backward()
    assert torch.equal(student.grad.abs().sum(dim=1) > 0, kept)
    assert ranked_loss(student[~kept], teacher[~kept], right[~kept], 4., 0.).item() == 0.


def test_cosines_by_hand_blind_to_length():
    turned_RD, upright_ND = torch.tensor([[3., 4.], [0., 0.]]), torch.tensor([[1., 0.], [0., 2.]])
    expected = torch.tensor([[0.6, 0.8], [0., 0.]])
    torch.testing.assert_close(cosines(turned_RD, upright_ND), expected)
    torch.testing.assert_close(cosines(7 * turned_RD, 60 * upright_ND), expected)


def test_contrast_by_hand():
    # All turned images look like the first: log(1 + e^-1) for the three of it, log(1 + e) for the three of the second.
    found = contrastive_loss(torch.tensor([[1., 0.]] * 6))
    assert found.item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2)


def test_gradients_are_those_of_finite_differences():
    student, teacher, right = scores(2)
    assert torch.autograd.gradcheck(lambda s: ranked_loss(s, teacher, right, 0.5, 0.5), student.requires_grad_())
    vectors, upright = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v, u: contrastive_loss(cosines(v, u)),
                                    (vectors.requires_grad_(), upright[:2].clone().requires_grad_()))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_scores_times_sixty_give_finite_loss_and_gradient(dtype):
    student, teacher, right = scores(3, 30, 100, times=60.)
    student, teacher = student.to(dtype).requires_grad_(), teacher.to(dtype)
    for temperature in (0.5, 4.):
        loss = ranked_loss(student, teacher, right, temperature, 0.75)
        loss.backward()
        assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


# --- the term ---

def names(term):
    return {'.'.join(name.split('.')[:3]) for name, p in term.named_parameters() if p.requires_grad}


def test_each_stage_trains_its_own_head(settings, make_distiller):
    one = settings['candidates'][:1]
    first = make_distiller(losses={'sskd': dict(SSKD['sskd'], learns='head')}, candidates=one, trains='losses')
    assert names(first.terms['sskd']) == {'heads.0.teacher'}
    assert not any(p.requires_grad for p in first.network.parameters())
    optimizer, values = torch.optim.Adam(first.terms.parameters(), lr=1e-2), []
    for _ in range(30):
        optimizer.zero_grad()
        values += steps(first)
        optimizer.step()
    assert values[0] == pytest.approx(math.log(4), abs=0.01), 'four images are not told apart'
    assert values[-1] < values[0] - 0.03
    then = make_distiller(losses=SSKD, candidates=one)
    assert names(then.terms['sskd']) == {'heads.0.student'}
    assert steps(then)[0] > 0


def test_term_is_the_sum_of_its_parts_of_both_networks_turned_images(settings, make_distiller):
    options = dict(transformed=2., similarity=3., transformed_temperature=3., similarity_temperature=0.7,
                   transformed_share=0.5, similarity_share=0.25)
    distiller = make_distiller(losses={'sskd': dict(SSKD['sskd'], **options)}, candidates=settings['candidates'][1:2])
    distiller.activate(distiller.candidates[0])
    found = distiller.loss(IMAGES, SAMPLES, distiller.teach(IMAGES, SAMPLES))
    heads, logits, similar = distiller.terms['sskd'].heads[0], [], []
    for network, head in ((distiller.network, heads.student), (distiller.teacher, heads.teacher)):
        (upright,), (seen,) = (network.backbone(images) for images in (IMAGES, turned(IMAGES)))
        logits.append(network(turned(IMAGES)))
        similar.append(cosines(head(seen), head(upright)))
    expected = {'0.50.loss_sskd.loss_transformed': 2 * ranked_loss(
        *logits, torch.tensor([0, 2, 1, 2]).repeat_interleave(3), 3., 0.5),
        '0.50.loss_sskd.loss_similarity': 3 * ranked_loss(*similar, torch.arange(4).repeat_interleave(3), 0.7, 0.25)}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)


def test_a_part_of_weight_zero_is_not_computed_and_without_cosines_nothing_is_prepared(settings, make_distiller):
    one = settings['candidates'][:1]
    for off, on in (('transformed', 'similarity'), ('similarity', 'transformed')):
        distiller = make_distiller(losses={'sskd': dict(SSKD['sskd'], **{off: 0.})}, candidates=one)
        found = distiller.loss(IMAGES, SAMPLES, distiller.teach(IMAGES, SAMPLES))
        assert [key.rpartition('_')[2] for key in found] == [on]
        assert distiller.terms['sskd'].prepared == (on == 'similarity')


def test_of_a_mixed_image_the_class_of_the_larger_share_is_right(settings, make_distiller):
    distiller = make_distiller(losses={'sskd': dict(SSKD['sskd'], similarity=0., transformed_share=0.)},
                               candidates=settings['candidates'][:1])
    targets = distiller.teach(IMAGES, SAMPLES)

    def value(samples):
        return distiller.loss(IMAGES, samples, targets)['1.00.loss_sskd.loss_transformed']
    hard = [value([DataSample().set_gt_label(label) for _ in IMAGES]) for label in (0, 1, 2)]
    assert len({each.item() for each in hard}) == 3
    mixed = [DataSample().set_gt_label(0).set_gt_score(torch.tensor([0.4, 0., 0.6])) for _ in IMAGES]
    assert value(mixed) == hard[2]


def test_batch_norms_norm_turned_images_by_themselves_and_remember_upright_ones_alone():
    with_term, without = cnn_distiller(SSKD, num_candidates=1), cnn_distiller(
        {'logit': dict(type='mmamd.LogitLoss')}, num_candidates=1)
    alone = copy.deepcopy(with_term.network).train()
    teacher_before = statistics(with_term.teacher)
    for distiller in (with_term, without):
        assert steps(distiller)[0] > 0
    expected = statistics(without.network)
    assert expected and any(buffer.dim() and buffer.any() for buffer in expected.values())
    for name, buffer in statistics(with_term.network).items():
        assert torch.equal(buffer, expected[name]), name
    for name, buffer in statistics(with_term.teacher).items():
        assert torch.equal(buffer, teacher_before[name]), name
    student = Outputs(with_term.network, IMAGES, SAMPLES, None, {})
    with_term.terms['sskd']._run_turned(student, 'backbone', 'student')
    torch.testing.assert_close(student.made[with_term.terms['sskd']][0], alone(turned(IMAGES)))


def test_an_assistant_runs_on_turned_images_as_the_candidate_that_it_is(settings, make_distiller):
    kept = settings['candidates'][1]['kept']
    architecture = {**settings['architecture'], 'data_preprocessor': settings['data_preprocessor']}
    assistant = dict(architecture=architecture, weights=settings['teacher'], scale=0.5, kept=kept)
    distiller = make_distiller(losses=SSKD, candidates=settings['candidates'][:1], teacher=assistant)
    found = distiller.teach(IMAGES, SAMPLES)[0].made[distiller.terms['sskd']][0]
    assert not found.requires_grad
    whole = make_distiller().teacher
    assert not torch.allclose(found, whole(turned(IMAGES)))
    whole.backbone.activate(kept)
    torch.testing.assert_close(found, whole(turned(IMAGES)))


def test_of_several_teachers_each_has_a_head_and_the_student_runs_once_more(settings, make_distiller):
    distiller = make_distiller(losses=SSKD, candidates=settings['candidates'][:1], teacher=[settings['teacher']] * 2)
    seen = []
    for network in (distiller.network, *distiller.teachers):
        network.register_forward_pre_hook(lambda network, args: seen.append((network, len(args[0]))))
    assert steps(distiller)[0] > 0
    assert len(distiller.terms['sskd'].heads) == 2
    first, second = distiller.teachers
    assert seen == [(first, 4), (second, 4), (first, 12), (second, 12), (distiller.network, 4), (distiller.network, 12)]


def test_what_it_runs_is_counted(settings, make_distiller):
    candidate = settings['candidates'][0]
    # Four times the passes of the student, with three backwards; where a head learns, one and no more. Heads have two
    # layers of width 8, for the image and its three turns: that which learns is counted three times.
    for learns, passes, layers in (('student', 3 * 4, 3 + 1), ('head', 1, 3)):
        distiller = make_distiller(losses={'sskd': dict(SSKD['sskd'], learns=learns)}, candidates=[candidate])
        distiller.teacher_networks = [replace(distiller.teacher_networks[0], cost=Cost(1000, 0))]
        assert distiller.macs(distiller.candidates) == (4 * 1000 + passes * candidate['cost']['macs']
                                                        + 4 * layers * 2 * 8**2)


def test_two_architectures_are_trained():
    assert all(value > 0 and math.isfinite(value) for value in steps(external_distiller(SSKD)))


def test_one_image_alone_has_nothing_to_be_told_from(settings, make_distiller):
    distiller = make_distiller(losses={'sskd': dict(SSKD['sskd'], transformed=0.)},
                               candidates=settings['candidates'][:1])
    found = distiller.loss(IMAGES[:1], SAMPLES[:1], distiller.teach(IMAGES[:1], SAMPLES[:1]))
    assert [value.item() for value in found.values()] == [0.]


# --- what is refused ---

@pytest.mark.parametrize('wrong, message', [
    (dict(learns='both'), "learns must be 'student' or 'head', got 'both'"),
    (dict(transformed=-1.), 'transformed must be a finite number >= 0, got -1.0'),
    (dict(similarity=math.inf), 'similarity must be a finite number >= 0, got inf'),
    (dict(transformed=0., similarity=0.), 'transformed and similarity are both 0'),
    (dict(transformed_temperature=0.), 'transformed_temperature must be a positive finite number, got 0.0'),
    (dict(similarity_temperature=math.nan), 'similarity_temperature must be a positive finite number, got nan'),
    (dict(transformed_share=75), r'transformed_share must lie in \[0, 1\], got 75'),
    (dict(similarity_share=True), r'similarity_share must lie in \[0, 1\], got True'),
    (dict(layer='backbone'), "layer must be a pair of names of modules, .*got 'backbone'")])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SSKDLoss(**wrong)


def test_numbers_and_shapes_are_checked_in_the_function():
    student, teacher, right = scores(4)
    for wrong, message in ((dict(temperature=0.), 'temperature must be a positive'),
                           (dict(share=2.), r'share must lie in \[0, 1\], got 2.0')):
        with pytest.raises(ValueError, match=message):
            ranked_loss(student, teacher, right, **wrong)
    with pytest.raises(ValueError, match='student and teacher logits must have one shape'):
        ranked_loss(student, teacher[:, :2], right)


def test_images_that_are_not_square_and_logits_of_positions_are_refused(make_distiller):
    with pytest.raises(ValueError, match='must be square for that, got 8 x 4; crop or resize them to a square'):
        turned(torch.zeros(1, 3, 8, 4))
    term, network = SSKDLoss(similarity=0.), make_distiller().network
    outputs = Outputs(network, torch.zeros(1, 3, 8, 4), SAMPLES[:1], torch.zeros(1, 3), {})
    with pytest.raises(ValueError, match='must be square for that, got 8 x 4'):
        term.build(outputs, [outputs], 0)
    term.pairs, term.heads = [[('backbone', 'backbone')]], nn.ModuleList([nn.Identity()])
    outputs.made[term] = torch.zeros(3, 3, 2, 2), None
    with pytest.raises(ValueError, match=r'SSKD needs logits of one shape \(N, C\)'):
        term.compare(outputs, outputs, 0)


def test_modules_that_do_not_exist_are_refused(settings, make_distiller):
    with pytest.raises(ValueError, match="losses.sskd: of the teacher: ImageClassifier has no module 'backbon'"):
        make_distiller(losses={'sskd': dict(SSKD['sskd'], layer=('backbone', 'backbon'))},
                       candidates=settings['candidates'][:1])
