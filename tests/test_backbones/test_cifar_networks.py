"""The CIFAR networks of AMD's Table 7 have the parameters that it counts, and run as their elastic forms do."""

import pytest
import torch
from mmpretrain.registry import MODELS

import mmamd.backbones  # noqa: F401  registers the networks

# Width and parameters with a linear head of 100 classes: 0.28 M, 0.86 M, 0.70 M, 2.26 M, 3.97 M, 9.46 M in Table 7;
# ResNet-8x4 as in CRD's code.
NETWORKS = {
    'ResNet-20': (dict(type='mmamd.CifarResNet', depth=20), 64, 278_324),
    'ResNet-56': (dict(type='mmamd.CifarResNet', depth=56), 64, 861_620),
    'WRN-16-2': (dict(type='mmamd.WideResNet', depth=16, widen_factor=2), 128, 703_284),
    'WRN-40-2': (dict(type='mmamd.WideResNet', depth=40, widen_factor=2), 128, 2_255_156),
    'ResNet-8x4': (dict(type='mmamd.CifarResNet', depth=8, stem_channels=32, base_channels=64), 256, 1_233_540),
    'VGG-8': (dict(type='mmamd.CifarVGG', depth=8), 512, 3_965_028),
    'VGG-13': (dict(type='mmamd.CifarVGG', depth=13), 512, 9_462_180),
}
each_network = pytest.mark.parametrize('backbone, width, params', NETWORKS.values(), ids=NETWORKS.keys())


@each_network
def test_parameters_are_those_of_the_table(backbone, width, params):
    network = MODELS.build(dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'),
                                head=dict(type='LinearClsHead', num_classes=100, in_channels=width)))
    assert sum(p.numel() for p in network.parameters()) == params
    side = 4 if 'VGG' in backbone['type'] else 8
    assert [tuple(out.shape) for out in network.backbone(torch.zeros(1, 3, 32, 32))] == [(1, width, side, side)]


def test_the_count_of_resnet_20_is_the_sum_by_hand():
    # Convolutions and norms; the first block of a stage changes the width, with a projection.
    stage_1 = 6 * (2304 + 32)
    stage_2 = (4608 + 64) + 5 * (9216 + 64) + 512 + 64
    stage_3 = (18432 + 128) + 5 * (36864 + 128) + 2048 + 128
    assert 432 + 32 + stage_1 + stage_2 + stage_3 + 6500 == NETWORKS['ResNet-20'][2]


@each_network
def test_elastic_form_has_the_plain_forms_weights_and_knows_its_cost(backbone, width, params):
    elastic = MODELS.build({**backbone, 'type': backbone['type'].replace('.', '.Masked')})
    plain = MODELS.build(backbone)
    assert [(k, v.shape) for k, v in plain.state_dict().items()] == [
        (k, v.shape) for k, v in elastic.state_dict().items()]
    full = {group.name: group.count for group in elastic.unit_groups()}
    assert elastic.cost(full).params == params - 100 * (width + 1)


def test_wide_resnet_ties_the_blocks_of_a_stage_and_leaves_the_last_stage_whole():
    network = MODELS.build(dict(type='mmamd.MaskedWideResNet', depth=10, widen_factor=2))
    assert [(g.name, g.count, g.min_count) for g in network.unit_groups()] == [
        ('stem.filter', 16, 1), ('stages.0.filter', 32, 1), ('stages.0.0.conv1.filter', 32, 0),
        ('stages.1.filter', 64, 1), ('stages.1.0.conv1.filter', 64, 0), ('stages.2.0.conv1.filter', 128, 0)]


def test_vgg_keeps_a_filter_in_each_layer_and_leaves_the_last_whole():
    network = MODELS.build(dict(type='mmamd.MaskedCifarVGG', depth=8))
    assert [(g.name, g.count, g.min_count) for g in network.unit_groups()] == [
        (f'stages.{i}.0.filter', width, 1) for i, width in enumerate((64, 128, 256, 512))]


@pytest.mark.parametrize('backbone, message', [
    (dict(type='mmamd.CifarResNet', depth=18), r'depths \[8, 14, 20, 32, 44, 56, 110\], got 18'),
    (dict(type='mmamd.WideResNet', depth=20), r'depth of 6n \+ 4 .*got 20 and 1'),
    (dict(type='mmamd.CifarVGG', depth=11), r'depths \[8, 13\] and five widths, got 11'),
    (dict(type='mmamd.CifarVGG', depth=8, widths=(4, 4)), r'five widths, got 8 and \(4, 4\)'),
])
def test_depths_that_there_are_not_are_refused(backbone, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(backbone)


@pytest.mark.parametrize('backbone, channels, side, params', [
    # 815,780: of the host's MobileNetV2 of half its width, whose second stage is 16 wide, CRD's is 12.
    (dict(type='mmamd.CifarMobileNetV2', widen_factor=0.5), 1280, 2, 815_780),
    # 3 x 24 weights of the stem for 27 x 24.
    (dict(type='mmamd.CifarShuffleNetV1'), 960, 4, 1_000_828 - 24 * 24),
    (dict(type='mmamd.CifarShuffleNetV2'), 1024, 4, 1_355_528),  # CRD's
], ids=['MobileNetV2', 'ShuffleNetV1', 'ShuffleNetV2'])
def test_light_networks_are_the_hosts_but_for_what_halves_the_images(backbone, channels, side, params):
    network = MODELS.build(backbone)
    network.eval()  # the host's returns nothing
    assert sum(p.numel() for p in network.parameters()) == params - 100 * (channels + 1)
    assert [tuple(out.shape) for out in network(torch.zeros(1, 3, 32, 32))] == [(1, channels, side, side)]
