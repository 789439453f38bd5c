"""A refit of small networks, whose outcome is known; what each backbone promises is in test_backbones.

Shapes: N samples, L tokens, K inputs, C outputs.
"""

from datetime import timedelta

import pytest
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn as nn
from mmpretrain.registry import MODELS

import mmamd.backbones  # noqa: F401  registers the backbones
import mmamd.pruning.refit
from mmamd.pipeline.stages.refit import steps_of
from mmamd.pruning.refit import LinearStep, Step, macs_of_products, refit
from mmamd.tasks import task_of

VIT = dict(type='ImageClassifier', backbone=dict(
    type='mmamd.MaskedViT', img_size=8, patch_size=4, drop_path_rate=0.1,
    arch=dict(embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10)),
    head=dict(type='VisionTransformerClsHead', num_classes=5, in_channels=12))
RESNET = dict(type='ImageClassifier', backbone=dict(type='mmamd.MaskedCifarResNet', depth=8, img_size=8),
              neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=5, in_channels=64))
SHARED_NEURONS = 4


def network(config=VIT, seed=0):
    torch.manual_seed(seed)
    network = MODELS.build(config).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def images(network, num=64, seed=1):
    return torch.randn(num, *network.backbone.input_shape, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed))


def steps(network, with_classifier=True):
    return steps_of(network, task_of(network), with_classifier)


def copy_of(network, kept, config=VIT):
    small = MODELS.build(config).double().eval()
    small.load_state_dict(network.state_dict())
    small.backbone.activate(kept)
    return small


def logits(network, images_N):
    with torch.no_grad():
        return network(images_N, mode='tensor')


# --- what was pruned can be said by what was kept ---

@torch.no_grad()
def let_the_last_units_repeat_the_first(network):
    """Of every block: head 2 as head 0, neurons 4 to 9 as neurons 0 to 3; what is made of them differs."""
    for layer in network.backbone.layers:
        for tensor in (layer.attn.qkv.weight, layer.attn.qkv.bias):
            heads = tensor.unflatten(0, (3, 3, -1))
            heads[:, 2] = heads[:, 0]
        fc1 = layer.ffn.layers[0][0]
        same = [i % SHARED_NEURONS for i in range(10)]
        fc1.weight.copy_(fc1.weight[same])
        fc1.bias.copy_(fc1.bias[same])


def test_a_network_whose_pruned_units_are_combinations_of_kept_ones_is_restored():
    teacher = network()
    let_the_last_units_repeat_the_first(teacher)
    kept = {group.name: 2 if group.kind == 'head' else SHARED_NEURONS for group in teacher.backbone.unit_groups()}
    small = copy_of(teacher, kept)
    images_N = images(teacher)
    expected = logits(teacher, images_N)
    assert (logits(small, images_N) - expected).abs().max() > 0.1 * expected.abs().max()
    record = refit(steps(teacher), {'small': steps(small)}, images_N.split(16), ridge=1e-10)['small']
    unseen_N = images(teacher, seed=2)
    for each in (images_N, unseen_N):
        expected = logits(teacher, each)
        assert (logits(small, each) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert all(after < 1e-9 < before for name, (before, after) in record.errors.items() if name.startswith('layers'))


def test_a_later_branch_makes_good_what_an_earlier_one_could_not():
    teacher = network()
    kept = {group.name: group.count for group in teacher.backbone.unit_groups()} | {'layers.0.neuron': 1}
    small = copy_of(teacher, kept)
    images_N = images(teacher)
    refit(steps(teacher), {'small': steps(small)}, images_N.split(16))
    # Against a refit of the pruned branch alone, by giving the others what they had.
    alone = copy_of(teacher, kept)
    alone.backbone.layers[0].load_state_dict(small.backbone.layers[0].state_dict())
    expected = logits(teacher, images_N)
    together, apart = ((logits(each, images_N) - expected).square().mean() for each in (small, alone))
    assert together < apart


def test_without_the_classifier_the_head_is_left_alone():
    teacher = network()
    small = copy_of(teacher, {group.name: 1 for group in teacher.backbone.unit_groups()})
    refit(steps(teacher, False), {'small': steps(small, False)}, images(teacher).split(16))
    assert torch.equal(small.head.layers.head.weight, teacher.head.layers.head.weight)
    refit(steps(teacher), {'small': steps(small)}, images(teacher).split(16))
    assert not torch.equal(small.head.layers.head.weight, teacher.head.layers.head.weight)


def test_a_channel_that_the_branch_scales_away_keeps_its_weights():
    config = dict(VIT, backbone=dict(VIT['backbone'], layer_scale_init_value=0.1))
    teacher = network(config)
    with torch.no_grad():
        teacher.backbone.layers[0].ffn.gamma2.weight[3] = 0.
    kept = {group.name: group.count - 1 for group in teacher.backbone.unit_groups()}
    small = copy_of(teacher, kept, config)
    refit(steps(teacher), {'small': steps(small)}, images(teacher).split(16))
    last, before = (each.backbone.layers[0].ffn.layers[1] for each in (small, teacher))
    assert torch.equal(last.weight[3], before.weight[3]) and torch.equal(last.bias[3], before.bias[3])
    assert not torch.equal(last.weight[4, :9], before.weight[4, :9])
    assert all(parameter.isfinite().all() for parameter in small.parameters())


def test_units_that_a_candidate_does_not_keep_are_left_alone():
    teacher = network()
    small = copy_of(teacher, {group.name: 1 for group in teacher.backbone.unit_groups()})
    refit(steps(teacher), {'small': steps(small)}, images(teacher).split(16))
    for layer, before in zip(small.backbone.layers, teacher.backbone.layers, strict=True):
        assert torch.equal(layer.ffn.layers[1].weight[:, 1:], before.ffn.layers[1].weight[:, 1:])
        assert torch.equal(layer.attn.proj.weight[:, 4:], before.attn.proj.weight[:, 4:])


# --- what it costs, and where it keeps its streams ---

def test_products_are_counted_as_they_are_planned():
    teacher = network()
    small = copy_of(teacher, {group.name: 2 for group in teacher.backbone.unit_groups()})
    images_N = images(teacher)
    planned = macs_of_products(steps(small), images_N[:1])
    # 5 tokens: two branches a block of K inputs, 8 of two heads and 2 neurons, towards 12 channels; and the head.
    assert planned == 2 * 5 * (8 * (8 + 12) + 2 * (2 + 12)) + 12 * (12 + 5)
    assert refit(steps(teacher), {'small': steps(small)}, images_N.split(16))['small'].macs == 64 * planned


def test_streams_in_files_are_those_in_memory(monkeypatch, tmp_path):
    teacher = network()
    kept = {group.name: 2 for group in teacher.backbone.unit_groups()}
    in_memory, in_files = copy_of(teacher, kept), copy_of(teacher, kept)
    refit(steps(teacher), {'small': steps(in_memory)}, images(teacher).split(16))
    monkeypatch.setattr(mmamd.pruning.refit, 'IN_MEMORY', 0)
    refit(steps(teacher), {'small': steps(in_files)}, images(teacher).split(16), folder=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(in_memory.parameters(), in_files.parameters(), strict=True))
    assert list(tmp_path.iterdir()) == []


# --- several processes ---

def refitted(config, rank=0, processes=1):
    """A network refit on this process's share of the images, which all have as many of."""
    teacher = network(config)
    small = copy_of(teacher, {group.name: 2 for group in teacher.backbone.unit_groups()}, config)
    refit(steps(teacher), {'small': steps(small)}, images(teacher).split(16)[rank::processes])
    return small.state_dict()


def refit_on_half(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    torch.save([refitted(config, rank, 2) for config in (VIT, RESNET)], folder / f'rank_{rank}.pth')
    torch.distributed.destroy_process_group()


def test_two_processes_find_what_one_does(tmp_path):
    torch.multiprocessing.spawn(refit_on_half, args=(tmp_path,), nprocs=2)
    expected = [refitted(config) for config in (VIT, RESNET)]
    for rank in (0, 1):
        for found, alone in zip(torch.load(tmp_path / f'rank_{rank}.pth', weights_only=True), expected, strict=True):
            for name, value in found.items():
                if not name.endswith('num_batches_tracked'):  # a count of its own batches, which nothing reads
                    largest = max(1., alone[name].abs().max().item())
                    torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-8 * largest)


# --- what it refuses ---

def test_activations_that_are_not_finite_are_named():
    teacher = network()
    small = copy_of(teacher, {group.name: 2 for group in teacher.backbone.unit_groups()})
    with torch.no_grad():
        small.backbone.layers[1].ffn.layers[0][0].bias[0] = float('nan')
    with pytest.raises(FloatingPointError, match='refit of small at layers.1.neuron: the inputs or the targets hold '
                                                 'NaN or infinity; check the teacher checkpoint'):
        refit(steps(teacher), {'small': steps(small)}, images(teacher).split(16))


def test_a_head_without_a_linear_classifier_is_refused():
    config = dict(VIT, head=dict(type='VisionTransformerClsHead', num_classes=5, in_channels=12))
    teacher = network(config)
    teacher.head.layers.head = nn.Identity()
    with pytest.raises(ValueError, match='the head of this ImageClassifier has no layer of its own that makes the '
                                         'logits.*set compression.refit.classifier=False'):
        steps(teacher)
    assert steps(teacher, with_classifier=False)


def test_no_images_are_refused():
    teacher = network()
    with pytest.raises(ValueError, match='no image to refit on; check that the training data set is not empty'):
        refit(steps(teacher), {'small': steps(copy_of(teacher, None))}, [])


def test_fewer_equations_than_unknowns_are_warned_of(monkeypatch):
    class Doubling(LinearStep):
        def enter(self, x):
            return x

        def close(self, inner, x):
            return self.linear(inner)

        def equations(self, inner, x, target):
            return inner, target

    layers = nn.Linear(8, 8), nn.Linear(8, 8)
    said = []
    monkeypatch.setattr(mmamd.pruning.refit, 'notice', lambda text, *_, **__: said.append(text))
    teacher, small = ([Step('stem', nn.Identity()), Doubling('layer', layer, 8)] for layer in layers)
    refit(teacher, {'small': small}, [torch.randn(8, 8)])
    assert said == []
    refit(teacher, {'small': small}, [torch.randn(7, 8)])
    text, = said
    assert text.startswith('refit of layer: 7 equations for 8 unknowns')
    assert text.endswith('raise compression.refit.num_images')
