"""Elastic backbones in MMSegmentation's EncoderDecoder, with the heads that they customarily have.

Shapes: N samples, K classes, h x w positions.
"""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from test_elastic_contract import (
    all_units,
    assert_same_logits,
    candidate,
    drawn_at_random,
    gated_logits,
    no_units,
    sliced_logits,
    some_units,
)

from mmamd.export import cut_network, export_onnx, read_onnx

pytestmark = pytest.mark.seg
NORM = dict(type='SyncBN', requires_grad=True)
HEAD = dict(channels=8, num_classes=4, norm_cfg=NORM, dropout_ratio=0.1, align_corners=False)
FPN_HEAD = dict(type='UPerHead', in_index=[0, 1], pool_scales=(1, 2), **HEAD)

# Name -> elastic backbone with its head, and the host's backbone.
SEGMENTORS = {
    'PSPNet': (dict(
        backbone=dict(type='mmamd.MaskedResNetV1c', img_size=(40, 48), depth=18, stem_channels=8, base_channels=4,
                      strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), norm_cfg=NORM, contract_dilation=True),
        decode_head=dict(type='PSPHead', in_channels=32, in_index=3, pool_scales=(1, 2), **HEAD),
        auxiliary_head=dict(type='FCNHead', in_channels=16, in_index=2, num_convs=1, concat_input=False, **HEAD)),
        'ResNetV1c'),
    'SegFormer': (dict(
        backbone=dict(type='mmamd.MaskedMiT', img_size=(64, 48), embed_dims=4, num_layers=[2, 1, 1, 1],
                      num_heads=[1, 2, 5, 8]),
        decode_head=dict(type='SegformerHead', in_channels=[4, 8, 20, 32], in_index=[0, 1, 2, 3], **HEAD)),
        'MixVisionTransformer'),
    'UPerNet of a ViT': (dict(
        backbone=dict(type='mmamd.MaskedViT', img_size=(16, 24), patch_size=4, out_indices=[0, 1], out_type='featmap',
                      final_norm=False,
                      arch=dict(embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10)),
        neck=dict(type='MultiLevelNeck', in_channels=[12, 12], out_channels=8, scales=[2, 1]),
        decode_head=dict(in_channels=[8, 8], **FPN_HEAD)), 'mmpretrain.VisionTransformer'),
    'UPerNet of a Swin': (dict(
        backbone=dict(type='mmamd.MaskedSwin', img_size=(16, 24), patch_size=2, window_size=4, out_indices=(0, 1),
                      arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4])),
        decode_head=dict(in_channels=[8, 16], **FPN_HEAD)), 'mmpretrain.SwinTransformer'),
}
ANOTHER_SIZE = {'PSPNet': (32, 56), 'SegFormer': (72, 40), 'UPerNet of a ViT': (20, 32), 'UPerNet of a Swin': (22, 18)}


@pytest.fixture(params=SEGMENTORS)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return segmentor(SEGMENTORS[name][0])


@pytest.fixture
def images(name, network):
    """Of the size that the costs speak of, and of another one."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 3, *size, generator=generator)
            for size in (network.backbone.input_shape[1:], ANOTHER_SIZE[name])]


def segmentor(parts):
    from mmseg.registry import MODELS
    config = dict(type='EncoderDecoder', train_cfg=dict(), test_cfg=dict(mode='whole'), **copy.deepcopy(parts))
    with DefaultScope.overwrite_default_scope('mmseg'):
        return drawn_at_random(MODELS.build(config)).eval()


def test_the_whole_segmentor_is_the_hosts(name, network, images):
    parts, host_type = SEGMENTORS[name]
    own = dict(parts['backbone'], type=host_type)
    if not host_type.startswith('mmpretrain.'):
        del own['img_size']
    host = segmentor({**parts, 'backbone': own})
    host.load_state_dict(network.state_dict())
    for images_N in images:
        with torch.no_grad():
            assert_same_logits(network(images_N, mode='tensor'), host(images_N, mode='tensor'))


@pytest.mark.parametrize('choose', [all_units, no_units, some_units])
def test_gates_slices_and_the_cut_segmentor_are_one_function_at_any_size(network, images, choose):
    kept = choose(network.backbone.unit_groups())
    small = cut_network(network, candidate(kept))
    for images_N in images:
        expected_NKhw = gated_logits(network, kept, images_N)
        assert_same_logits(sliced_logits(network, kept, images_N), expected_NKhw)
        with torch.no_grad():
            assert_same_logits(small(images_N, mode='tensor'), expected_NKhw)


@pytest.mark.parametrize('choose', [all_units, no_units])
def test_a_candidate_of_a_segmentor_trains_all_parameters(network, images, choose):
    from mmseg.structures import SegDataSample
    network.train()
    network.backbone.activate(choose(network.backbone.unit_groups()))
    labels = torch.randint(4, (2, 1, *images[0].shape[2:]), generator=torch.Generator().manual_seed(2))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    losses = network(images[0], samples, mode='loss')
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize('name', ['PSPNet', 'SegFormer'])
@pytest.mark.parametrize('choose', [no_units, some_units])
def test_a_graph_for_images_of_any_size_is_the_cut_segmentor(network, choose, tmp_path):
    small = cut_network(network, candidate(choose(network.backbone.unit_groups())))
    assert export_onnx(small, tmp_path / 'model.onnx', any_size=True) <= 1e-5
    height, width = (side + 12 for side in network.backbone.input_shape[1:])
    images_N = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_same_logits(read_onnx(tmp_path / 'model.onnx')(images_N), small(images_N, mode='tensor'))
