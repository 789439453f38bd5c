"""A teacher is found out from its name, in the zoo or in timm, and from the shapes of its weights."""

from argparse import Namespace

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader

from mmamd.cli.network import describe
from mmamd.registry import MODELS


def described(source, arch=None):
    return describe(Namespace(source=str(source), config=None, arch=arch))


@pytest.mark.parametrize('name, patch', [
    ('deit3_small_patch16_224', 16),  # its class token has no position
    pytest.param('vit_small_patch14_reg4_dinov2', 14, marks=pytest.mark.slow),
    pytest.param('vit_tiny_patch16_224', 16, marks=pytest.mark.slow)])
def test_the_size_of_a_timm_checkpoint_is_that_of_its_positions(name, patch, tmp_path):
    with torch.device('meta'):
        model = timm.create_model(name, num_classes=5, img_size=3 * patch)
    state = {key: torch.zeros(value.shape) for key, value in model.state_dict().items()}
    torch.save(state, tmp_path / 'mine.pth')
    teacher = described(f'timm:{name}@{tmp_path}/mine.pth')
    assert teacher.size == (3 * patch, 3 * patch) and teacher.num_classes == 5
    assert teacher.architecture['backbone']['img_size'] == 3 * patch
    assert teacher.found['architecture'] == teacher.found['mean and std'] == 'its name in timm'


@pytest.mark.parametrize('source, arch, state, message', [
    ('timm:vit_tiny_patch16_224@{}', None, dict(size=(96, 128)), 'positions of 48 patches, which are no square'),
    ('timm:vit_tiny_patch16_224@{}', None, dict(without='head.'), "expected 'head.layers.head.weight' among them"),
    ('{}', 'resnet50', {}, "expected 'backbone.conv1.weight' among them .*give --config FILE")])
def test_weights_of_another_network_are_refused_with_what_to_give(source, arch, state, message, tmp_path):
    with torch.device('meta'):
        model = timm.create_model('vit_tiny_patch16_224', num_classes=5, img_size=state.get('size', 48))
    weights = {key: torch.zeros(value.shape) for key, value in model.state_dict().items()
               if not key.startswith(state.get('without', '-'))}
    if arch:
        weights = {'head.fc.weight': torch.zeros(5, 8), 'backbone.pos_embed': torch.zeros(1, 10, 8)}
    torch.save(weights, tmp_path / 'mine.pth')
    with pytest.raises(ValueError, match=message):
        described(source.format(tmp_path / 'mine.pth'), arch)


def test_a_teacher_of_arrays_is_shown_files_in_its_own_order(tmp_path):
    config = Config(dict(
        model=dict(type='ImageClassifier', backbone=dict(type='ResNet_CIFAR', depth=18), head=dict(
            type='LinearClsHead', num_classes=3, in_channels=512)),
        data_preprocessor=dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7], to_rgb=False),  # of RGB arrays
        test_dataloader=dict(dataset=dict(type='CIFAR10', pipeline=[dict(type='PackInputs')]))))
    torch.save(dict(state_dict={}, meta=dict(cfg=config.pretty_text)), tmp_path / 'mine.pth')
    assert described(tmp_path / 'mine.pth').preprocessor == dict(config.data_preprocessor, to_rgb=True)


def test_a_key_of_the_zoo_is_known_by_the_zoos_config(monkeypatch):
    monkeypatch.setitem(CheckpointLoader._schemes, 'https://', lambda url, map_location=None: {})
    teacher = described('deit-tiny_4xb256_in1k')
    assert teacher.architecture['backbone']['type'] == 'mmamd.MaskedViT' and teacher.num_classes == 1000
    assert teacher.size == (224, 224) and teacher.preprocessor['mean'] == [123.675, 116.28, 103.53]
    assert teacher.found['architecture'] == teacher.found['mean and std'] == 'the model zoo'


def test_the_sizes_of_a_named_vit_are_those_of_its_weights(tmp_path):
    architecture = dict(type='ImageClassifier', backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=24,
                                                              patch_size=8),
                        head=dict(type='VisionTransformerClsHead', num_classes=5, in_channels=192))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        torch.save(MODELS.build(architecture).state_dict(), tmp_path / 'mine.pth')
    teacher = described(tmp_path / 'mine.pth', arch='deit-t')
    backbone = teacher.architecture['backbone']
    assert (backbone['img_size'], backbone['patch_size'], teacher.num_classes) == (24, 8, 5)
