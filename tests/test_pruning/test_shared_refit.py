"""Candidates that share their weights, made good in one walk. Toys in double precision.

Shapes: N samples, K classes.
"""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS

import mmamd.backbones  # noqa: F401  registers the backbones
from mmamd.pipeline.stages.refit import steps_of
from mmamd.pruning.refit import refit
from mmamd.pruning.shared_refit import NestedStep, joint_steps, nested_steps
from mmamd.tasks import task_of

ARCHITECTURES = {
    'ViT': dict(
        backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, arch=dict(
            embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10)), neck=None, width=12),
    'ViT with layer scale': dict(
        backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, layer_scale_init_value=0.3, arch=dict(
            embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10)), neck=None, width=12),
    'Swin': dict(
        backbone=dict(type='mmamd.MaskedSwin', img_size=16, patch_size=2, window_size=3, out_indices=(1,),
                      stage_cfgs=dict(block_cfgs=dict(ffn_ratio=1.)),
                      arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4])),
        neck=dict(type='GlobalAveragePooling'), width=16)}


def build(backbone, neck, width):
    network = MODELS.build(dict(type='ImageClassifier', backbone=backbone, neck=neck,
                                head=dict(type='LinearClsHead', num_classes=5, in_channels=width)))
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return network.double().eval()


@pytest.fixture(scope='module', params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def network(request):
    return build(**request.param)


def family(network):
    """Three nested candidates: the smallest has an empty group, the middle one adds to some, the largest not all."""
    groups = network.backbone.unit_groups()
    smallest = {group.name: 0 if i == 1 else 1 for i, group in enumerate(groups)}
    middle = {group.name: smallest[group.name] + (i % 3 != 2) for i, group in enumerate(groups)}
    largest = {group.name: max(middle[group.name], group.count - (i % 2)) for i, group in enumerate(groups)}
    return {'small': smallest, 'middle': middle, 'large': largest}


def batches(network, num=4):
    shape = (8, *network.backbone.input_shape)
    return [torch.randn(shape, generator=torch.Generator().manual_seed(i)).double() for i in range(num)]


def steps(network):
    return steps_of(network, task_of(network), True)


def refitted(network, candidates, **options):
    """A copy of a network whose candidates are refitted together, and what was found of each."""
    shared = copy.deepcopy(network)
    nested = nested_steps(candidates, shared.backbone.activate, lambda: steps(shared))
    return shared, refit(steps(network), nested, batches(network), **options)


def refitted_together(network, candidates, **options):
    """The same in one problem a layer."""
    shared = copy.deepcopy(network)
    joint = joint_steps(candidates, shared.backbone.activate, lambda: steps(shared))
    return shared, refit(steps(network), {'together': joint}, batches(network), **options)['together']


def logits(network, kept=None):
    network.backbone.activate(kept)
    try:
        with torch.no_grad():
            return network(batches(network)[0], mode='tensor')
    finally:
        network.backbone.activate(None)


def more_than_before(record):
    """Steps whose error and penalty are more than the error of the inherited weights."""
    return [name for name, (before, after) in record.errors.items() if after + record.penalties[name] > before + 1e-9]


def test_the_smallest_candidate_is_what_its_own_refit_makes_of_it(network):
    kept = family(network)['small']
    shared, _ = refitted(network, family(network))
    alone = copy.deepcopy(network)
    alone.backbone.activate(kept)
    refit(steps(network), {'small': steps(alone)}, batches(network))
    expected_NK = logits(alone, kept)
    assert not torch.allclose(expected_NK, logits(network, kept))
    assert (logits(shared, kept) - expected_NK).abs().max() <= 1e-9 * expected_NK.abs().max()


@pytest.mark.parametrize('num', [1, 2])
def test_no_candidate_changes_by_what_is_solved_for_larger_ones(network, num):
    candidates = family(network)
    shared, _ = refitted(network, candidates)
    without, _ = refitted(network, dict(list(candidates.items())[:num]))
    for kept in list(candidates.values())[:num]:
        assert torch.equal(logits(shared, kept), logits(without, kept))


@pytest.mark.parametrize('ridge', [1e-6, 1e-3, 1.])
def test_no_candidate_misses_more_of_a_target_than_before_its_own_inputs_were_solved(network, ridge):
    candidates = family(network)
    _, records = refitted(network, candidates, ridge=ridge)
    for key, record in records.items():
        assert record.errors
        assert more_than_before(record) == [], key
        assert max(before - after for before, after in record.errors.values()) > 0.01, key


def test_a_step_is_solved_for_the_candidates_that_have_more_of_it(network):
    candidates = family(network)
    _, records = refitted(network, candidates)
    smaller = candidates['small']
    assert list(records['small'].errors) == [*smaller, 'head.fc']
    for key in ('middle', 'large'):
        assert list(records[key].errors) == [name for name, count in candidates[key].items() if count > smaller[name]]
        smaller = candidates[key]


def test_what_no_candidate_has_and_what_is_no_last_layer_stays_the_teachers(network):
    candidates = family(network)
    shared, _ = refitted(network, candidates)
    last = {id(branch.last.weight): branch.last.in_features // branch.count * candidates['large'][name]
            for name, branch in shared.backbone.branches()}
    biases = [id(branch.last.bias) for _, branch in shared.backbone.branches()]
    own = [*biases, id(shared.head.fc.weight), id(shared.head.fc.bias)]
    before = dict(network.named_parameters())
    for name, value in shared.named_parameters():
        if id(value) in last:
            first = last[id(value)]
            assert torch.equal(value[:, first:], before[name][:, first:]), name
        elif id(value) not in own:
            assert torch.equal(value, before[name]), name


def test_the_new_inputs_solve_what_the_fixed_ones_leave(network):
    # Against the closed form on the rows themselves: (H'H + lam) W = H'(t - h W_fixed - b) + lam W_0.
    candidates = {key: family(network)[key] for key in ('small', 'large')}
    shared = copy.deepcopy(network)
    nested = nested_steps(candidates, shared.backbone.activate, lambda: steps(shared))
    i = next(i for i, step in enumerate(nested['large']) if isinstance(step, NestedStep))
    name, branch = next(iter(shared.backbone.branches()))
    first, last = (branch.last.in_features // branch.count * kept[name] for kept in candidates.values())
    inherited_KC = branch.last.weight[:, first:last].T.detach().clone()
    refit(steps(network), nested, batches(network))
    with torch.no_grad():
        x = torch.cat(batches(network))
        total = steps(network)[i].run(steps(network)[0].run(x)[1])[0]
        shared.backbone.activate(candidates['large'])
        own = steps(shared)
        x = own[0].run(x)[1]  # the first branch follows the stem, so all candidates have the same stream
        h_MK, t_MC = own[i].equations(own[i].enter(x), x, total)
        left_MC = t_MC - h_MK[:, :first] @ branch.last.weight[:, :first].T - branch.last.bias
        h_MK = h_MK[:, first:]
        lam = 1e-3 * h_MK.square().sum() / h_MK.shape[1]
        expected_KC = torch.linalg.solve(h_MK.T @ h_MK + lam * torch.eye(h_MK.shape[1], dtype=h_MK.dtype),
                                         h_MK.T @ left_MC + lam * inherited_KC)
    torch.testing.assert_close(branch.last.weight[:, first:last].T, expected_KC, rtol=0, atol=1e-7)


@pytest.mark.parametrize('how', [refitted, refitted_together])
def test_a_family_of_the_whole_network_stays_itself(network, how):
    whole = {group.name: group.count for group in network.backbone.unit_groups()}
    shared, _ = how(network, {'1.00': whole})
    expected_NK = logits(network)
    assert (logits(shared) - expected_NK).abs().max() <= 1e-6 * expected_NK.abs().max()


# --- together ---

def test_the_steps_of_all_candidates_are_the_candidates_one_behind_the_other(network):
    candidates, images = family(network), batches(network)[0]
    shared = copy.deepcopy(network)
    x = images
    with torch.no_grad():
        for step in joint_steps(candidates, shared.backbone.activate, lambda: steps(shared)):
            total, x = step.run(x)
    for own_NK, kept in zip(total.chunk(3), candidates.values(), strict=True):
        torch.testing.assert_close(own_NK, logits(shared, kept), rtol=0, atol=1e-9)


def test_one_candidate_together_with_none_is_its_own_refit(network):
    kept = family(network)['large']
    shared, _ = refitted_together(network, {'large': kept})
    alone = copy.deepcopy(network)
    alone.backbone.activate(kept)
    refit(steps(network), {'large': steps(alone)}, batches(network))
    torch.testing.assert_close(logits(shared, kept), logits(alone, kept), rtol=0, atol=1e-9)


@pytest.mark.parametrize('ridge', [1e-6, 1e-3, 1.])
def test_candidates_together_miss_no_more_of_a_target_than_with_the_inherited_weights(network, ridge):
    _, record = refitted_together(network, family(network), ridge=ridge)
    assert list(record.errors) == [*family(network)['large'], 'head.fc']
    assert more_than_before(record) == []


def test_the_first_layer_misses_least_on_the_average_over_candidates(network):
    # All candidates have the same stream before it, so that what they miss can be compared between the two ways.
    missed = []
    for how in (refitted_together, refitted):
        shared, _ = how(network, family(network), ridge=1e-9)
        with torch.no_grad():
            x = steps(network)[0].run(torch.cat(batches(network)))[1]
            target = steps(network)[1].run(x)[0]
            total = 0.
            for kept in family(network).values():
                shared.backbone.activate(kept)
                total += float((steps(shared)[1].run(x)[0] - target).square().sum())
        missed.append(total)
    together, nested = missed
    assert together < 0.999 * nested


@pytest.mark.parametrize('how', [nested_steps, joint_steps])
@pytest.mark.parametrize('backbone', [
    dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8), dict(type='mmamd.MaskedCifarVGG', depth=8, img_size=8),
    dict(type='mmamd.MaskedCifarResNet', depth=20, img_size=8)], ids=lambda backbone: backbone['type'])
def test_convolutional_networks_are_refused_with_what_to_do(backbone, how):
    network = build(backbone, dict(type='GlobalAveragePooling'), 512 if 'VGG' in backbone['type'] else 64)
    kept = {group.name: group.count for group in network.backbone.unit_groups()}
    with pytest.raises(ValueError, match=r"share the norms of .*expected a transformer: .*method.start='smallest'"):
        how({'1.00': kept}, network.backbone.activate, lambda: steps(network))
