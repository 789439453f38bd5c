"""Scores, ranking and cost of the vision transformer, against independent computations.

Shapes: N samples, C embedding width, H heads, D width of a head, F hidden neurons.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import mmamd.backbones  # noqa: F401  registers MaskedViT
from mmamd.pruning import cost_function, make_family, network_cost, rank, score, unit_scores
from mmamd.structures import Cost, Importance


def classifier(arch, img_size, patch_size, num_classes):
    width = 768 if arch == 'b' else arch['embed_dims']
    return ImageClassifier(
        backbone=dict(type='mmamd.MaskedViT', arch=arch, img_size=img_size, patch_size=patch_size),
        head=dict(type='VisionTransformerClsHead', num_classes=num_classes, in_channels=width))


@pytest.fixture(scope='module')
def small():
    """Two blocks of 2 heads (D = 4) and 6 neurons, in float64; three images of 8 x 8."""
    torch.manual_seed(0)
    network = classifier(dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=6), 8, 4, 5).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    inputs = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    return network, inputs, [DataSample().set_gt_label(label) for label in (0, 3, 1)]


def test_scores_are_the_central_differences_of_the_loss_by_each_gate(small):
    network, inputs, data_samples = small
    network.eval()
    h = 1e-4

    def losses_N(name, unit, gate):
        losses = []
        for image, data_sample in zip(inputs, data_samples, strict=True):
            with torch.no_grad(), network.backbone.gates(1) as gates:
                gates[name][0, unit] = gate
                losses.append(network(image[None], [data_sample], mode='loss')['loss'])
        return torch.stack(losses)

    sample = unit_scores(network, inputs, data_samples, 'sample')
    batch = unit_scores(network, inputs, data_samples, 'batch')
    assert {name: len(scores) for name, scores in sample.items()} == {
        'layers.0.head': 2, 'layers.0.neuron': 6, 'layers.1.head': 2, 'layers.1.neuron': 6}
    for name, scores in sample.items():
        slopes_UN = torch.stack([(losses_N(name, u, 1 + h) - losses_N(name, u, 1 - h)) / (2 * h)
                                 for u in range(len(scores))])
        assert slopes_UN.abs().max() > 1e-3
        torch.testing.assert_close(scores, slopes_UN.abs().sum(1), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(batch[name], slopes_UN.mean(1).abs(), rtol=1e-5, atol=1e-7)


def test_one_backward_pass_equals_a_loop_over_single_images(small):
    network, inputs, data_samples = small
    singles = [dict(inputs=image[None], data_samples=[data_sample])
               for image, data_sample in zip(inputs, data_samples, strict=True)]
    together = score(network, [dict(inputs=inputs, data_samples=data_samples)])
    one_by_one = score(network, singles)
    assert together.num_images == one_by_one.num_images == 3
    for name, scores in together.scores.items():
        assert scores == pytest.approx(one_by_one.scores[name], rel=1e-10)


def test_batch_scores_are_the_product_of_output_weights_and_their_gradients(small):
    # With y = W (m * a) + b:  dL/dm_j = sum_d W[d, j] dL/dW[d, j] at m = 1; for a head, summed over its columns.
    network, inputs, data_samples = small
    scores = unit_scores(network.train(), inputs, data_samples, 'batch')
    network.eval().zero_grad()
    network(inputs, data_samples, mode='loss')['loss'].backward()
    for i, layer in enumerate(network.backbone.layers):
        fc2, proj = layer.ffn.layers[1].weight, layer.attn.proj.weight
        neurons_F = (fc2 * fc2.grad).sum(0).abs()
        heads_H = (proj * proj.grad).sum(0).view(2, 4).sum(1).abs()
        torch.testing.assert_close(scores[f'layers.{i}.neuron'], neurons_F, rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(scores[f'layers.{i}.head'], heads_H, rtol=1e-10, atol=1e-14)
    network.zero_grad()


def test_the_first_unit_of_the_order_has_the_highest_score_after_reordering(small):
    network, inputs, data_samples = copy.deepcopy(small)
    batches = [dict(inputs=inputs, data_samples=data_samples)]
    importance = score(network, batches)
    network.backbone.reorder(rank(importance, network.backbone.unit_groups()).order)
    for name, scores in score(network, batches).scores.items():
        assert scores == pytest.approx(sorted(importance.scores[name], reverse=True), rel=1e-10)


@settings(deadline=None, max_examples=15)
@given(st.fixed_dictionaries({'layers.0.head': st.integers(0, 2), 'layers.0.neuron': st.integers(0, 6),
                              'layers.1.head': st.integers(0, 2), 'layers.1.neuron': st.integers(0, 6)}))
def test_cost_equals_what_the_profiler_sees_and_the_cut_network_holds(small, kept):
    network = copy.deepcopy(small[0])
    cost = network_cost(network, kept)
    network.backbone.activate(kept)
    # The profiler counts two operations a MAC; plain matrix products, so that it sees those of attention.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as profiler:
        network(small[1][:1], mode='tensor')
    network.backbone.cut(kept)
    assert cost == Cost(profiler.get_total_flops() // 2, sum(p.numel() for p in network.parameters()))


# --- ViT-B/16, 224 px, 1000 classes ---

@pytest.fixture(scope='module')
def vit_b():
    """(groups, random importance, cost function, network); on the meta device, which computes shapes only."""
    with torch.device('meta'):
        network = classifier('b', 224, 16, 1000)
    groups = network.backbone.unit_groups()
    generator = torch.Generator().manual_seed(0)
    scores = {g.name: torch.rand(g.count, generator=generator, dtype=torch.float64).tolist() for g in groups}
    return groups, Importance(scores, 1, 'sample'), cost_function(network), network


def total(kept, kind):
    return sum(count for name, count in kept.items() if name.endswith(kind))


def test_cost_of_vit_b(vit_b):
    groups, _, cost_of, network = vit_b
    full = {group.name: group.count for group in groups}
    assert (total(full, 'head'), total(full, 'neuron')) == (144, 36864)
    # A block: qkv and proj 197 x 4 x 768^2, attention 2 x 197^2 x 768, feed-forward 197 x 2 x 768 x 3072;
    # embedding 196 x 768^2; head 768 x 1000. Sum 17,563,828,224 (17.564 G).
    block = 197 * 4 * 768**2 + 2 * 197**2 * 768 + 197 * 2 * 768 * 3072
    assert cost_of(full) == Cost(12 * block + 196 * 768**2 + 768 * 1000, 86_567_656)
    assert round(cost_of(full).macs / 1e9, 3) == 17.564
    assert network.backbone.cost(full).params == 85_798_656


def test_vit_b_at_15_per_cent_of_the_units(vit_b):
    groups, importance, cost_of, network = vit_b
    student = make_family(groups, importance, cost_of, [0.15, 0.5], scale_by='units').student
    assert (total(student.kept, 'head'), total(student.kept, 'neuron')) == (22, 5530)
    # No layer is left empty by these scores, so no norm is dropped: 85,798,656 - 122 x 196,800 - 31,334 x 1,537.
    assert min(student.kept.values()) > 0
    assert network.backbone.cost(student.kept).params == 13_628_698


def test_vit_b_at_15_per_cent_of_the_macs(vit_b):
    groups, importance, cost_of, _ = vit_b
    family = make_family(groups, importance, cost_of, [0.15, 0.5])
    student = family.student
    assert student.cost.macs <= 0.15 * family.teacher_cost.macs < 2.635e9
    units = rank(importance, groups).sequence
    next_unit = units[sum(student.kept.values())]
    exceeding = cost_of(student.kept | {next_unit: student.kept[next_unit] + 1})
    assert exceeding.macs > 0.15 * family.teacher_cost.macs
    # Heads and neurons lose the same share, up to one head.
    assert total(student.kept, 'head') / 144 == pytest.approx(total(student.kept, 'neuron') / 36864, abs=1 / 144)
