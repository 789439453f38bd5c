"""A plain backbone becomes the elastic one that has its weights and computes its function."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmamd.backbones.twins import twin_of, with_elastic_backbone


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.mark.parametrize('kind, twin', [
    ('VisionTransformer', 'mmamd.MaskedViT'), ('mmpretrain.SwinTransformer', 'mmamd.MaskedSwin'),
    ('ResNet', 'mmamd.MaskedResNet'), ('ResNet_CIFAR', 'mmamd.MaskedResNetCIFAR'),
    ('mmamd.CifarResNet', 'mmamd.MaskedCifarResNet'), ('ResNetV1d', 'mmamd.MaskedResNet'),
    ('MobileNetV2', 'mmamd.MaskedMobileNetV2'), ('ConvNeXt', 'mmamd.MaskedConvNeXt'),
    ('mmamd.MaskedViT', None), ('DenseNet', None), ('NoSuchNet', None), ('LinearClsHead', None)])
def test_every_plain_backbone_has_its_twin(kind, twin):
    assert twin_of(kind) == twin


@pytest.mark.parametrize('kind', ['ResNet_CIFAR', 'ResNetV1d'])
def test_the_twin_has_the_weights_and_the_function(kind):
    plain = dict(type='ImageClassifier', backbone=dict(type=kind, depth=18 if kind == 'ResNet_CIFAR' else 50),
                 neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=3, in_channels=(
                     512 if kind == 'ResNet_CIFAR' else 2048)))
    elastic = with_elastic_backbone(plain)
    assert plain['backbone']['type'] == kind  # a copy is changed
    host, ours = MODELS.build(plain).eval(), MODELS.build(elastic).eval()
    ours.load_state_dict(host.state_dict())
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images, mode='tensor'), host(images, mode='tensor'), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('architecture', [None, 3, {}, dict(backbone=None), dict(backbone=dict()),
                                          dict(backbone=dict(type=3)), dict(backbone=dict(type='DenseNet'))])
def test_what_has_no_twin_stays_what_it_is(architecture):
    assert with_elastic_backbone(architecture) is architecture
