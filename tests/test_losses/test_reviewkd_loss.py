import math

import pytest
import torch
from pairs import STAGES, built, cnn_distiller, external_distiller, steps
from torch import nn
from torch.nn.functional import mse_loss

from mmamd.distillation.losses.reviewkd import Fusion, ReviewKDLoss, hcl_loss

MAPS = 'in:[feature] trans:[{}|no|no] dist:[l2] cal:[no] weight:[2] tau:[1]'


def test_value_by_hand():
    # 2 x 2 maps, differences 1, 3, 1, 3: mean square 5. Their mean is 2, its square 4, weight 1/2. (5 + 2) / 1.5.
    student, teacher = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1., 3.], [1., 3.]]]])
    assert hcl_loss(student, teacher).item() == pytest.approx(14 / 3)
    assert hcl_loss(teacher, teacher).item() == 0.


def test_maps_of_eight_have_four_levels_and_one_position_a_single_one():
    # A difference of d everywhere is d at every level, whatever the weights.
    for side in (8, 4, 1):
        assert hcl_loss(torch.zeros(2, 3, side, side), torch.full((2, 3, side, side), 2.)).item() == pytest.approx(4.)
    # Signs that alternate have mean 0 at every pool, so the full maps alone count: 1 / (1 + 1/2 + 1/4 + 1/8).
    signs = torch.tensor([1., -1.]).repeat(4).expand(1, 1, 8, 8)
    assert hcl_loss(torch.zeros(1, 1, 8, 8), signs).item() == pytest.approx(1 / 1.875)


@pytest.mark.parametrize('side', [1, 2, 4, 7, 8, 32])
def test_a_side_has_the_pools_below_it_uneven_ones_too(side):
    maps = torch.randn(2, 2, 3, side, side, generator=torch.Generator().manual_seed(side))
    values, weights = [(maps[0] - maps[1]).square().mean()], [1.]
    for fields in (4, 2, 1):
        if fields < side:
            weights.append(weights[-1] / 2)
            # Field i is of the rows from floor(i side / fields) to ceil((i + 1) side / fields); columns alike.
            spans = [slice(i * side // fields, -(-(i + 1) * side // fields)) for i in range(fields)]
            means = torch.stack([maps[..., rows, columns].mean((-1, -2)) for rows in spans for columns in spans])
            values.append((means[:, 0] - means[:, 1]).square().mean())
    expected = sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
    torch.testing.assert_close(hcl_loss(*maps), expected)


def test_gradient_is_that_of_finite_differences():
    student, teacher = torch.randn(2, 1, 2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: hcl_loss(s, teacher), student.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_large_states_give_finite_loss_and_gradient(dtype):
    student, teacher = (60 * torch.randn(2, 2, 8, 4, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    loss = hcl_loss(student.requires_grad_(), teacher)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def bare(fusion):
    """The fusion without norms, its maps of channels being ones."""
    fusion.enter_norm = fusion.leave_norm = nn.Identity()
    nn.init.ones_(fusion.enter.weight)
    return fusion


def test_a_state_and_what_is_deeper_are_weighted_by_position():
    fusion = bare(Fusion(own=2, inner=1, width=1, is_deepest=False))
    nn.init.zeros_(fusion.attention.weight)
    fusion.attention.bias.data = torch.tensor([math.log(3.), 0.])  # sigmoids 3/4 and 1/2
    # 1 + 3 within, and 8 of the one deeper position at each of the four: 4 * 3/4 + 8 / 2 = 7.
    state = torch.tensor([1., 3.]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    _, fused = fusion(state, torch.full((1, 1, 1, 1), 8.))
    torch.testing.assert_close(fused, torch.full((1, 1, 2, 2), 7.))


def test_a_narrower_candidate_uses_the_leading_channels():
    fusion, maps = Fusion(4, 3, 5, True).eval(), torch.randn(2, 2, 3, 3)
    whole = torch.cat([maps, torch.zeros(2, 2, 3, 3)], dim=1)
    torch.testing.assert_close(fusion(maps, None), fusion(whole, None))


def test_a_shallow_layer_learns_from_the_deeper_states_of_the_student():
    states = {name: torch.randn(2, 3, side, side).requires_grad_() for name, side in (('a', 4), ('b', 2))}
    term, student, teacher = built(ReviewKDLoss(), states, {'a': torch.randn(2, 5, 4, 4), 'b': torch.zeros(2, 6, 2, 2)})
    shallow, deep = term.fusions[0]
    assert deep.attention is None and shallow.attention is not None
    _, passed = deep(states['b'], None)
    hcl_loss(shallow(states['a'], passed)[0], teacher.states['a']).backward()
    assert states['b'].grad.any()


def test_pooled_vectors_are_maps_of_one_position():
    states = {name: torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))
              for name, size in (('maps', (4, 4)), ('pooled', ()))}
    term, student, teacher = built(ReviewKDLoss(), states, states)
    (shallow, deep), pooled = term.fusions[0], states['pooled'][:, :, None, None]
    met, passed = deep(pooled, None)
    expected = mse_loss(met, pooled) + hcl_loss(shallow(states['maps'], passed)[0], states['maps'])
    torch.testing.assert_close(term.compare(student, teacher, 0), expected)


def test_term_is_the_sum_over_its_layers_and_grows_with_the_warmup():
    states = {name: torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(i)) for i, name in enumerate('ab')}
    term, student, teacher = built(ReviewKDLoss(warmup=0.5), states, states)
    (shallow, deep), own = term.fusions[0], student.states
    met, passed = deep(own['b'], None)
    expected = hcl_loss(met, own['b']) + hcl_loss(shallow(own['a'], passed)[0], own['a'])
    for progress, factor in ((0., 0.), (0.25, 0.5), (0.5, 1.), (0.9, 1.)):
        student.progress = progress
        torch.testing.assert_close(term.compare(student, teacher, 0), factor * expected)
    assert ReviewKDLoss().weight == 1. and ReviewKDLoss().warmup == 0.


def test_a_genome_compares_the_fused_maps_in_the_place_of_the_pooled_differences():
    states = {name: torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(i)) for i, name in enumerate('ab')}
    term, student, teacher = built(ReviewKDLoss(genome=MAPS.format('no')), states, states)
    student.logits = teacher.logits = torch.zeros(4, 2)
    (shallow, deep), own = term.fusions[0], student.states
    met, passed = deep(own['b'], None)
    expected = mse_loss(met, own['b']) + mse_loss(shallow(own['a'], passed)[0], own['a'])
    torch.testing.assert_close(term.compare(student, teacher, 0), 2 * expected)


def test_a_genome_that_hides_hides_the_same_in_a_step_and_draws_no_other_fusions():
    states = {'a': torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))}
    plain, hiding = (built(ReviewKDLoss(genome=genome), states, states) for genome in (None, MAPS.format('drop')))
    assert all(map(torch.equal, plain[0].fusions.parameters(), hiding[0].fusions.parameters()))
    term, student, teacher = hiding
    student.logits = teacher.logits = torch.zeros(4, 2)
    first = term.compare(student, teacher, 0)
    assert torch.equal(first, term.compare(student, teacher, 0))
    student.progress = 0.5
    assert not torch.equal(first, term.compare(student, teacher, 0))


def test_pairs_of_transformers_of_cnns_and_of_two_architectures_are_trained(make_distiller):
    for distiller in (make_distiller(losses={'review': dict(type='mmamd.ReviewKDLoss', layers=[1, 2])}),
                      cnn_distiller({'review': dict(type='mmamd.ReviewKDLoss')}),
                      external_distiller({'review': dict(type='mmamd.ReviewKDLoss', layers=STAGES)})):
        assert all(value > 0 and math.isfinite(value) for value in steps(distiller))


@pytest.mark.parametrize('wrong, message', [
    (dict(warmup=2.), r'warmup must be a share of the stage in \[0, 1\], got 2.0; 0 is none'),
    (dict(layers=1), 'layers must be'),
    (dict(genome=MAPS.format('no').replace('feature', 'logits')), r'genome must be one of in:\[feature\] and cal:\['),
    (dict(genome=MAPS.format('no').replace('cal:[no]', 'cal:[conf]')), r'compares maps alone, got')])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ReviewKDLoss(**wrong)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r'needs layers=\[\('):
        ReviewKDLoss().watches(nn.Sequential(), nn.Sequential())
    with pytest.raises(ValueError, match="cannot compare 'a' of the student"):
        built(ReviewKDLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 2, 2)})
