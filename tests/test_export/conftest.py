import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.models import ImageClassifier

import mmamd.backbones  # noqa: F401  registers MaskedViT


@pytest.fixture(scope='session')
def make_architecture():
    """Function (layers, heads, head_dims, neurons, **backbone options) -> config of a classifier, as in a run's."""

    def make(layers=2, heads=3, head_dims=2, neurons=7, **options):
        width = heads * head_dims
        arch = dict(embed_dims=width, num_layers=layers, num_heads=heads, feedforward_channels=neurons)
        return dict(type='ImageClassifier',
                    backbone=dict(type='mmamd.MaskedViT', arch=arch, img_size=8, patch_size=4, **options),
                    head=dict(type='LinearClsHead', num_classes=5, in_channels=width))

    return make


@pytest.fixture(scope='session')
def make_classifier(make_architecture):
    """Function (layers, heads, head_dims, neurons, **backbone options) -> classifier of 8 x 8 images, 5 classes."""

    def make(seed=0, **shape):
        architecture = make_architecture(**shape)
        architecture.pop('type')
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            network = ImageClassifier(**architecture)
        # Far from the initial zeros and ones, so that every weight matters.
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
        return network.eval()

    return make


@pytest.fixture(scope='session')
def make_run(make_architecture, make_classifier):
    """Function (shape as above) -> (config of a run over that network, the network with weights)."""

    def make(**shape):
        config = Config(dict(
            default_scope='mmpretrain', data_preprocessor=dict(mean=[10., 20., 30.], std=[50., 60., 70.], to_rgb=True),
            model=dict(type='mmamd.AMDDistiller', architecture=make_architecture(**shape), teacher='teacher.pth'),
            val_dataloader=dict(dataset=dict(type='mmamd.HoldOut', dataset=dict(type='CIFAR10'))),
            val_evaluator=dict(type='Accuracy'), val_cfg=dict(),
            test_dataloader=dict(dataset=dict(type='CIFAR10')), test_evaluator=dict(type='Accuracy'), test_cfg=dict()))
        return config, make_classifier(**shape)

    return make
