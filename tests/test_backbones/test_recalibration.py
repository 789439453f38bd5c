"""Batch norm statistics of a candidate are those that its cut model would find on the same images."""

import copy

import pytest
import torch
import torch.nn as nn
from mmpretrain.models import ImageClassifier

import mmamd.backbones  # noqa: F401  registers the backbones
from mmamd.backbones.recalibration import batch_norms, preserved, recalibrate, restore_statistics, statistics
from mmamd.export import cut_network
from mmamd.structures import Candidate, Cost

BACKBONES = {
    'ResNet': (dict(type='mmamd.MaskedResNet', depth=18, stem_channels=6, base_channels=6, num_stages=2, img_size=16,
                    strides=(1, 2), dilations=(1, 1), out_indices=(1,)), 12),
    'WRN': (dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8), 64),
    'VGG': (dict(type='mmamd.MaskedCifarVGG', depth=8, widths=(4, 5, 6, 7, 8), img_size=16), 8)}


def classifier(backbone, width):
    network = ImageClassifier(backbone=backbone, neck=dict(type='GlobalAveragePooling'),
                              head=dict(type='LinearClsHead', num_classes=3, in_channels=width))
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return network.eval()


@pytest.fixture(params=BACKBONES.values(), ids=BACKBONES.keys())
def network(request):
    return classifier(*request.param)


def batches(network, num=3):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, *network.backbone.input_shape, generator=generator) for _ in range(num)]


def smaller(network, share):
    return {g.name: max(g.min_count, int(share * g.count)) for g in network.backbone.unit_groups()}


def test_a_norm_that_does_not_run_keeps_its_statistics(network):
    network.auxiliary = nn.BatchNorm2d(3)
    network.auxiliary.running_mean.fill_(7.)
    network.auxiliary.num_batches_tracked.fill_(5)
    before = {name: buffer.clone() for name, buffer in network.auxiliary.named_buffers()}
    recalibrate(network, batches(network))
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.auxiliary.named_buffers())


@pytest.mark.parametrize('share', [1., 0.5, 0.])
def test_recalibrated_statistics_are_those_of_the_cut_models_training_pass(network, share):
    kept = smaller(network, share)
    small = cut_network(network, Candidate(0.5, kept, Cost(0, 0), 0.))
    for norm in batch_norms(small):  # in the host's words: forget, then average over batches
        norm.reset_running_stats()
        norm.momentum = None
    small.train()
    with torch.no_grad():
        for images in batches(network):
            small(images, mode='tensor')

    network.backbone.activate(kept)
    assert recalibrate(network, iter(batches(network))) == 3 * 8
    expected, found = dict(small.named_buffers()), dict(network.named_buffers())
    compared = [key for key in expected if key.endswith(('running_mean', 'running_var'))]
    assert compared
    for key in compared:
        torch.testing.assert_close(found[key][:len(expected[key])], expected[key], rtol=1e-4, atol=1e-5)


def test_after_recalibration_a_batch_norm_hands_on_what_it_hands_on_in_training(network):
    network.backbone.activate(smaller(network, 0.5))
    images, = batches(network, num=1)
    recalibrate(network, [images])
    seen = []
    first = batch_norms(network)[0]
    first.register_forward_hook(lambda _module, _args, output: seen.append(output.clone()))
    with torch.no_grad():
        network(images, mode='tensor')
        network.train()
        network(images, mode='tensor')
    torch.testing.assert_close(seen[0], seen[1], rtol=0.05, atol=0.05)  # the biased variance in training


def test_nothing_but_the_statistics_changes(network):
    network.train()
    network.neck.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    momenta = [norm.momentum for norm in batch_norms(network)]
    network.backbone.activate(smaller(network, 0.5))
    recalibrate(network, batches(network))
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all('running' in key or 'num_batches' in key for key in changed)
    assert network.training and network.backbone.training and not network.neck.training
    assert [norm.momentum for norm in batch_norms(network)] == momenta
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_statistics_can_be_kept_and_put_back(network):
    images, = batches(network, num=1)
    with torch.no_grad():
        kept, before = statistics(network), network(images, mode='tensor').clone()
        recalibrate(network, [images])
        assert not torch.allclose(network(images, mode='tensor'), before)
        restore_statistics(network, kept)
        assert torch.equal(network(images, mode='tensor'), before)


def test_statistics_are_preserved_while_images_run_in_training_mode(network):
    first, second = batches(network, num=2)
    network.train()(first, mode='tensor')
    kept, momenta = statistics(network), [norm.momentum for norm in batch_norms(network)]
    expected = copy.deepcopy(network)(second, mode='tensor')
    with preserved(batch_norms(network)):
        found = network(second, mode='tensor')
    assert torch.equal(found, expected), 'normed by the images themselves'
    assert all(torch.equal(buffer, kept[name]) for name, buffer in statistics(network).items())
    assert [norm.momentum for norm in batch_norms(network)] == momenta
    found.sum().backward()
    network(second, mode='tensor')
    assert not all(torch.equal(buffer, kept[name]) for name, buffer in statistics(network).items())


def test_without_images_it_is_an_error_and_the_statistics_stay(network):
    before = statistics(network)
    for none in ([], [torch.zeros(0, *network.backbone.input_shape)]):
        with pytest.raises(ValueError, match='no image to recalibrate the batch norms on; check that the'):
            recalibrate(network, none)
    after = statistics(network)
    assert before and all(torch.equal(after[name], value) for name, value in before.items())


def test_a_network_without_batch_norm_is_left_alone_and_draws_no_image():
    network = ImageClassifier(
        backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4,
                      arch=dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=6)),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=8))
    assert recalibrate(network, []) == 0 and statistics(network) == {}
    restore_statistics(network, {})
