import math

import pytest
import torch
from torch import nn

from mmamd.distillation.losses.scalekd.cross_attention import CrossAttention, CrossAttentionProjector
from mmamd.distillation.losses.scalekd.projectors import Form, PositionwiseProjector, cross_attention_projector


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def projector(own=(4, 3, 3), width=6, num_queries=5, heads=2, **options):
    torch.manual_seed(0)
    return CrossAttentionProjector(own, width, num_queries, heads=heads, **options).eval()


@pytest.mark.parametrize('number, own, width, queries, expected', [
    (1, (1024, 14, 14), 384, 196, 12_129_280), (1, (2048, 7, 7), 768, 49, 47_535_872),
    (2, (1024, 14, 14), 768, 196, 35_723_264)])
def test_numbers_of_parameters(number, own, width, queries, expected):
    with torch.device('meta'):
        built = [CrossAttentionProjector(own, width, queries, heads=6) for _ in range(number)]
    assert sum(p.numel() for each in built for p in each.parameters()) == expected


def test_given_queries_leave_out_learnt_ones():
    assert 'queries' in dict(projector().named_parameters())
    given = projector(num_queries=None)
    assert 'queries' not in dict(given.named_parameters())
    with torch.no_grad():
        assert given(randn(2, 4, 3, 3), randn(2, 7, 6)).shape == (2, 7, 6)


# --- attention ---

def test_attention_by_hand():
    # The query 1 meets the keys 0 and log 3: weights 1/4 and 3/4 at scale 1, 1/10 and 9/10 at scale 2.
    keys = torch.tensor([[[0.], [math.log(3.)]]])
    for scale, weight in ((1., 3 / 4), (2., 9 / 10)):
        attention = CrossAttention(1, 1, 1, scale, 1)
        for layer in attention.children():
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        assert attention(torch.ones(1, 1, 1), keys).item() == pytest.approx(weight * math.log(3.))


def test_attention_is_torchs_own():
    ours, theirs = CrossAttention(6, 4, 2, 1., 1), nn.MultiheadAttention(6, 2, kdim=4, vdim=4, batch_first=True)
    with torch.no_grad():
        for layer, weight in ((ours.query, 'q'), (ours.key, 'k'), (ours.value, 'v')):
            getattr(theirs, f'{weight}_proj_weight').copy_(layer.weight)
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.leave.state_dict())
        queries, keys = randn(2, 5, 6), randn(2, 9, 4, seed=1)
        torch.testing.assert_close(ours(queries, keys), theirs(queries, keys, keys)[0])


@torch.no_grad()
def test_within_windows_a_query_sees_its_own_part_and_tokens_keep_their_order():
    whole, parted = CrossAttention(6, 4, 2, 1., 1), CrossAttention(6, 4, 2, 1., 2)
    parted.load_state_dict(whole.state_dict())
    queries, keys = randn(2, 4, 4, 6), randn(2, 6, 6, 4, seed=1)  # four windows: 2 x 2 queries that see 3 x 3 keys
    found = parted(queries.flatten(1, 2), keys.flatten(1, 2)).unflatten(1, (4, 4))
    for i in range(2):
        for j in range(2):
            own = queries[:, 2 * i:2 * i + 2, 2 * j:2 * j + 2].flatten(1, 2)
            expected = whole(own, keys[:, 3 * i:3 * i + 3, 3 * j:3 * j + 3].flatten(1, 2))
            torch.testing.assert_close(found[:, 2 * i:2 * i + 2, 2 * j:2 * j + 2].flatten(1, 2), expected)


# --- the projector ---

@torch.no_grad()
def test_formula_written_out():
    cap, maps = projector(), randn(2, 4, 3, 3)
    keys = cap.stem_norm(cap.stem(maps)).relu() + cap.positions
    queries = torch.einsum('ld,cd->lc', cap.queries, cap.enter.weight) + cap.enter.bias
    found = cap.norm(cap.attention(queries.relu().expand(2, 5, 6), keys.flatten(2).transpose(1, 2)))
    hidden = (found @ cap.ffn[0].weight.T + cap.ffn[0].bias).clamp(min=0)
    torch.testing.assert_close(cap(maps), found + hidden @ cap.ffn[2].weight.T + cap.ffn[2].bias)


@torch.no_grad()
def test_with_the_softmax_scale_towards_zero_all_tokens_are_one():
    tokens = projector(softmax_scale=1e-9)(randn(2, 4, 3, 3))
    assert (tokens - tokens[:, :1]).abs().max() < 1e-5
    sharp = projector(softmax_scale=5.)(randn(2, 4, 3, 3))
    assert (sharp - sharp[:, :1]).abs().max() > 1e-2


def test_gradient_is_that_of_finite_differences():
    cap = projector(own=(2, 2, 2), width=4, num_queries=3).double()
    assert torch.autograd.gradcheck(lambda maps: cap(maps), randn(1, 2, 2, 2).double().requires_grad_())


@torch.no_grad()
@pytest.mark.parametrize('lead', [projector(), *(PositionwiseProjector(4, 6, (3, 3), kernel) for kernel in (1, 3))])
def test_a_narrower_candidate_uses_the_leading_channels(lead):
    maps = randn(2, 3, 3, 3)
    torch.testing.assert_close(lead(maps), lead(torch.cat([maps, torch.zeros(2, 1, 3, 3)], dim=1)))


def test_maps_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"the student's maps are \(4, 3\), and the projector was built for \(3, 3\)"):
        projector()(torch.zeros(1, 4, 4, 3))


# --- of two states ---

def test_tokens_without_a_position_are_asked_for_too_and_maps_are_made_of_tokens():
    tokens, maps = (Form.of(torch.zeros(shape), torch.zeros(1, 3, 9, 9)) for shape in ((1, 10, 7), (1, 7, 2, 3)))
    assert tokens == (7, (3, 3), 1, False) and maps == (7, (2, 3), 0, True)
    assert (tokens.num_tokens, maps.num_tokens) == (10, 6)
    found = randn(1, 6, 7)
    shaped = maps.shape(found)
    assert shaped.shape == (1, 7, 2, 3) and torch.equal(shaped[0, :, 1, 0], found[0, 3])
    assert tokens.shape(found) is found


@pytest.mark.parametrize('width, heads', [(8, 1), (64, 1), (192, 3), (200, 2), (768, 12)])
def test_heads_have_64_channels_or_more(width, heads):
    with torch.device('meta'):
        built = cross_attention_projector(torch.zeros(1, 2, 2, 2), Form(width, (2, 2), 0, True), None, 5., 1)
    assert built.attention.heads == heads


@torch.no_grad()
def test_the_projectors_of_comparison():
    linear, conv = (PositionwiseProjector(4, 6, (3, 3), kernel) for kernel in (1, 3))
    maps = randn(2, 4, 3, 3)
    weight = linear.enter.weight.flatten(1)
    torch.testing.assert_close(linear(maps), torch.einsum('cd,ndhw->nchw', weight, maps)
                               + linear.enter.bias[:, None, None])
    assert conv(maps).shape == (2, 6, 3, 3) and [tuple(p.shape) for p in conv.parameters() if p.ndim > 1] == [
        (6, 4, 3, 3), (6, 6, 3, 3)]
    large = maps.repeat_interleave(2, 2).repeat_interleave(3, 3)  # whose averages are the maps
    torch.testing.assert_close(linear(large), linear(maps))


@pytest.mark.parametrize('student, teacher, heads, windows, message', [
    ((4, 2, 2), (10, (2, 2), 0, True), 3, 1, "3 heads do not divide the teacher's 10 channels; choose heads that do"),
    ((4, 2, 4), (8, (2, 2), 0, True), 2, 2, r"windows=2 .*need square maps.* got the student's of \(2, 4\) and the"),
    ((4, 2, 2), (8, (2, 3), 0, True), 2, 2, r"the teacher's of \(2, 3\); use windows of 1"),
    ((4, 4, 4), (8, (3, 3), 0, True), 2, 2, r'parts of each side need square maps that it divides'),
    ((4, 4, 4), (8, (4, 4), 1, False), 2, 2, r"the teacher's of \(4, 4\) with 1 more tokens; use windows of 1")])
def test_heads_and_windows_that_do_not_fit_are_refused(student, teacher, heads, windows, message):
    with pytest.raises(ValueError, match=message):
        cross_attention_projector(torch.zeros(1, *student), Form(*teacher), heads, 5., windows)
