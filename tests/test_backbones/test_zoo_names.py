"""Names and shapes of the weights that elastic backbones share with MMSegmentation's zoo.

Recorded from MMSegmentation 1.2.2's own classes: how many tensors there are, how many values they hold, and the
beginning of the SHA-256 of the sorted lines "name shape".
"""

import hashlib

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

D8 = dict(num_stages=4, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True, out_indices=(0, 1, 2, 3),
          norm_cfg=dict(type='SyncBN', requires_grad=True))  # as PSPNet and DeepLabV3 have it: output stride 8
MIT = dict(type='mmamd.MaskedMiT', num_heads=[1, 2, 5, 8])

ZOO = {
    'pspnet_r18-d8': (dict(type='mmamd.MaskedResNetV1c', depth=18, **D8), (132, 11_205_494, '9670b7dd919f9154')),
    'pspnet_r101-d8': (dict(type='mmamd.MaskedResNetV1c', depth=101, **D8), (636, 42_624_970, '3f56f4f3698142f8')),
    'segformer_mit-b0': (dict(MIT, embed_dims=32, num_layers=[2, 2, 2, 2]), (160, 3_319_392, '9ad19818d41db899')),
    'segformer_mit-b2': (dict(MIT, embed_dims=64, num_layers=[3, 4, 6, 3]), (300, 24_196_288, 'd6067c5ab4dbeef2')),
    'upernet_swin-t': (dict(type='mmamd.MaskedSwin', arch='tiny', out_indices=(0, 1, 2, 3)),
                       (189, 27_549_510, '1134210224e8819c')),
}
OF_MMPRETRAIN = {'upernet_swin-t'}


@pytest.mark.parametrize('backbone, recorded', [
    pytest.param(*case, id=name, marks=[] if name in OF_MMPRETRAIN else [pytest.mark.seg])
    for name, case in ZOO.items()])
def test_a_backbone_has_the_names_and_shapes_of_the_zoos_checkpoints(backbone, recorded):
    assert summary(MODELS.build(backbone).state_dict()) == recorded


@pytest.mark.seg
def test_a_vision_transformer_of_mmseg_loads_under_mmpretrains_names():
    common = dict(img_size=16, patch_size=4, out_indices=[0, 1], final_norm=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        host = MODELS.build(dict(type='mmseg.VisionTransformer', embed_dims=12, num_layers=2, num_heads=3, mlp_ratio=2,
                                 patch_bias=True, norm_cfg=dict(type='LN', eps=1e-6), **common))
        elastic = MODELS.build(dict(type='mmamd.MaskedViT', out_type='featmap', arch=dict(
            embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=24), **common))
    assert_same_maps(host, elastic, (24, 16))  # of another size: the positions are interpolated


@pytest.mark.seg
def test_a_swin_of_mmseg_is_the_same_function_with_its_weights():
    common = dict(window_size=3, out_indices=(0, 1))
    with DefaultScope.overwrite_default_scope('mmseg'):
        host = MODELS.build(dict(type='mmseg.SwinTransformer', pretrain_img_size=24, embed_dims=8, depths=(2, 2),
                                 num_heads=(2, 4), strides=(2, 2), patch_size=2, **common))
        elastic = MODELS.build(dict(type='mmamd.MaskedSwin', img_size=24, patch_size=2, arch=dict(
            embed_dims=8, depths=[2, 2], num_heads=[2, 4]), **common))
    assert_same_maps(host, elastic, (20, 26))


def assert_same_maps(host, elastic, size):
    """With the host's weights, drawn at random, both say the same of some images."""
    generator = torch.Generator().manual_seed(0)
    for parameter in host.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    elastic.load_state_dict(host.state_dict())
    host.eval()
    elastic.eval()
    images = torch.randn(2, 3, *size, generator=generator)
    with torch.no_grad():
        for actual, expected in zip(elastic(images), host(images), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def summary(state):
    lines = sorted(f'{name} {tuple(value.shape)}' for name, value in state.items())
    return len(lines), sum(value.numel() for value in state.values()), sha('\n'.join(lines))


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]
