"""A backbone behind an enlargement computes what it would of images that were enlarged before, in any form."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

import mmamd.backbones  # noqa: F401  registers the networks
from mmamd.export.onnx import export_onnx
from mmamd.pruning.complexity import profiled_cost

INNER = dict(type='T2T_ViT', img_size=32, embed_dims=8, num_layers=1, t2t_cfg=dict(token_dims=4),
             layer_cfgs=dict(num_heads=2, feedforward_channels=8))
OUTER = dict(type='mmamd.Enlarged', size=32, backbone=INNER)


def test_it_is_its_backbone_of_enlarged_images():
    torch.manual_seed(0)
    images, network, inner = torch.randn(2, 3, 16, 16), MODELS.build(OUTER).eval(), MODELS.build(INNER)
    inner.eval()  # the host's returns nothing
    weights = network.state_dict()
    inner.load_state_dict({name.removeprefix('backbone.'): value for name, value in weights.items()})
    assert len(weights) == len(inner.state_dict())
    large = F.interpolate(images, (32, 32), mode='bilinear')
    assert torch.equal(network(images)[-1], inner(large)[-1]) and not torch.equal(large, images.repeat(1, 1, 2, 2))
    assert profiled_cost(network, (3, 16, 16)) == profiled_cost(inner, (3, 32, 32))  # the enlargement is not counted


def test_images_of_its_size_are_left_as_they_are():
    network, images = MODELS.build(OUTER).eval(), torch.randn(1, 3, 32, 32)
    assert torch.equal(network(images)[-1], network.backbone(images)[-1])


def test_a_size_of_two_sides_is_height_and_width():
    network = MODELS.build(dict(type='mmamd.Enlarged', size=(8, 12), backbone=dict(type='mmamd.CifarResNet', depth=8)))
    assert network.eval()(torch.zeros(1, 3, 4, 4))[-1].shape == (1, 64, 2, 3)


def test_its_weights_are_drawn_as_those_of_the_backbone():
    drawn = dict(type='Constant', layer='Linear', val=0.5)
    network = MODELS.build({**OUTER, 'backbone': {**INNER, 'init_cfg': drawn}})
    network.init_weights()
    assert torch.all(network.backbone.encoder[0].attn.qkv.weight == 0.5)


def test_onnx_file_takes_the_small_images(tmp_path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        classifier = MODELS.build(dict(type='ImageClassifier', backbone=OUTER, head=dict(
            type='VisionTransformerClsHead', num_classes=4, in_channels=8))).eval()
    assert export_onnx(classifier, tmp_path / 'enlarged.onnx', input_shape=(3, 16, 16)) < 1e-5


@pytest.mark.parametrize('size', [0, -64, 6.4, True, '64', (64,), (64, 0), None], ids=repr)
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match='Enlarged needs a size of one or two positive whole numbers.*size=64'):
        MODELS.build({**OUTER, 'size': size})


@pytest.mark.parametrize('backbone', [{}, 'T2T_ViT', None], ids=repr)
def test_what_is_no_backbone_is_refused(backbone):
    with pytest.raises(ValueError, match=r"config of a backbone, with its type, got .*say e\.g\. backbone=dict"):
        MODELS.build({**OUTER, 'backbone': backbone})


def test_larger_images_are_refused_as_pixels_would_be_skipped():
    with pytest.raises(ValueError, match='images of 32 x 32 px out of smaller ones, got 16 x 48; set a larger size'):
        MODELS.build(OUTER)(torch.zeros(1, 3, 16, 48))
