"""A teacher is found out from its name, in the zoo or in timm, and from the shapes of its weights."""

from argparse import Namespace

import pytest
import timm
import torch
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
