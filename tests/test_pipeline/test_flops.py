"""The network of any config is counted exactly, by part, or refused with what could be counted."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd.pipeline.flops import countable_network, format_flops
from mmamd.pruning.complexity import cost_by_part, network_cost
from mmamd.structures import Cost

ROOT = Path(__file__).parents[2]
HEAD = dict(type='LinearClsHead', num_classes=10, in_channels=32)
TINY_VIT = dict(type='VisionTransformer', img_size=8, patch_size=4, out_type='avg_featmap',
                arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128))


def classifier(**backbone):
    return Config(dict(model=dict(type='ImageClassifier', backbone=backbone, head=HEAD)))


def numbers(text):
    """Part -> (MACs, parameters) as printed."""
    rows = [line.rsplit(maxsplit=2) for line in text.splitlines()]
    return {row[0]: (int(row[1].replace(',', '')), int(row[2].replace(',', '')))
            for row in rows if len(row) == 3 and row[1].replace(',', '').isdigit()}


def test_vit_b_has_the_cost_that_is_known_of_it():
    cfg = Config.fromfile(ROOT / 'configs' / 'amd' / 'vit-b_cifar100.py')
    cfg.merge_from_dict({'model.architecture.head.num_classes': 1000})
    text = format_flops(cfg)
    # 224 px, 16 px patches: 197 tokens of 768. Attention: 12 (197 x 4 x 768^2 + 2 x 197^2 x 768); feed-forward: 12 x
    # 197 x 2 x 768 x 3072; patches: 196 x 768 x 768; head: 768,000.
    assert numbers(text) == {
        'fixed part': (115_605_504, 762_624), 'attention': (6_292_703_232, 28_357_632),
        'feed-forward': (11_154_751_488, 56_678_400), 'rest': (768_000, 769_000),
        'total': (17_563_828_224, 86_567_656)}
    assert 'student: at most 1,756,382,822 MACs (compression.student_scale=0.1' in text
    assert 'multiply-accumulate' in text and 'are not counted' in text


def test_a_plain_network_is_counted_as_its_elastic_counterpart():
    plain = countable_network(classifier(**TINY_VIT))
    ours = countable_network(classifier(**{**TINY_VIT, 'type': 'mmamd.MaskedViT'}))
    assert type(plain.backbone).__name__ == 'MaskedViT'
    # 5 tokens of 32. Patches: 4 x 48 x 32. Attention: 2 (5 x 4 x 32^2 + 2 x 5^2 x 32). Feed-forward: 2 x 5 x 2 x 32 x
    # 128. Head: 320.
    assert network_cost(plain).macs == network_cost(ours).macs == 6144 + 2 * (20480 + 1600) + 81920 + 320
    assert network_cost(plain).params == sum(p.numel() for p in plain.parameters())


@pytest.mark.parametrize('backbone', [
    TINY_VIT,
    dict(TINY_VIT, type='mmamd.MaskedViT', heads=[0, 2], neurons=[7, 0]),
    dict(type='SwinTransformer', img_size=32, patch_size=2, window_size=4, out_indices=(1,),
         arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4])),
    dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)], ids=['vit', 'cut vit', 'swin', 'resnet'])
def test_parts_sum_up_to_the_whole(backbone):
    channels = {'SwinTransformer': 16, 'ResNet': 64}.get(backbone['type'], 32)
    cfg = classifier(**backbone)
    cfg.model.head.in_channels = channels
    if backbone['type'] in ('SwinTransformer', 'ResNet'):
        cfg.model.neck = dict(type='GlobalAveragePooling')
    network = countable_network(cfg)
    assert sum(cost_by_part(network).values(), Cost(0, 0)) == network_cost(network)


@pytest.mark.seg
@pytest.mark.parametrize('backbone, elastic, width', [
    (dict(type='MixVisionTransformer', embed_dims=4, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 2, 4]), 'MaskedMiT', 16),
    (dict(type='ResNetV1c', depth=18, stem_channels=8, base_channels=4), 'MaskedResNetV1c', 32)])
def test_a_plain_segmentor_is_counted_by_its_elastic_counterpart(backbone, elastic, width):
    head = dict(type='FCNHead', in_channels=width, in_index=3, channels=width, num_classes=3, num_convs=0,
                concat_input=False)
    cfg = Config(dict(default_scope='mmseg', model=dict(
        type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=dict(mode='whole'))))
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = countable_network(cfg, shape=(64, 96))
        parts = cost_by_part(network)
    assert type(network.backbone).__name__ == elastic
    # The classifier alone, 3 x width weights at the 2 x 3 positions of the last map, and its biases.
    assert parts['rest'] == Cost(2 * 3 * 3 * width, 3 * width + 3)


def test_an_exported_student_is_counted_as_the_summary_says(finished_run):
    work_dir, summary = finished_run
    total = numbers(format_flops(Config.fromfile(work_dir / 'student' / 'config.py')))['total']
    assert total == (summary['student']['macs'], summary['student']['params'])


def test_a_teacher_is_counted_as_the_summary_says(finished_run):
    _, summary = finished_run
    total = numbers(format_flops(Config.fromfile(Path(__file__).parent / 'tiny_teacher.py')))['total']
    assert total == (summary['teacher']['macs'], summary['teacher']['params'])


def test_a_shape_is_that_of_a_network_built_for_it():
    network = countable_network(classifier(**TINY_VIT), shape=(8, 16))
    assert network.backbone.input_shape == (3, 8, 16)
    # 8 patches of 4 x 4 x 3
    assert cost_by_part(network)['fixed part'].macs == 8 * 48 * 32


@pytest.mark.parametrize('scale_by, expected', [('params', 'parameters (compression.student_scale=0.3'),
                                                ('units', 'at most 30.00% of the units of each kind')])
def test_the_budget_is_one_of_what_the_scale_is_a_fraction_of(scale_by, expected):
    cfg = classifier(**TINY_VIT)
    cfg.compression = dict(student_scale=0.3, scale_by=scale_by)
    assert expected in format_flops(cfg)


def test_counting_leaves_the_config_as_it_was():
    cfg = classifier(**TINY_VIT)
    format_flops(cfg, (16, 16))
    assert (cfg.model.backbone.type, cfg.model.backbone.img_size) == ('VisionTransformer', 8)


@pytest.mark.parametrize('cfg, message', [
    (classifier(type='DenseNet'), "backbone DenseNet cannot be counted exactly; expected .*'VisionTransformer'"),
    (classifier(type='NoSuchNet'), 'backbone NoSuchNet cannot be counted exactly'),
    (Config(dict(a=1)), 'no network to count in the config'),
    (Config(dict(model=dict(type='MoCo'))), "got a model of type 'MoCo'")])
def test_what_cannot_be_counted_is_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        format_flops(cfg)
