from types import SimpleNamespace

import benchmark_scripts  # noqa: F401  before the scripts are imported
import pytest


@pytest.fixture
def options():
    """What the command line asks for, made small."""
    return SimpleNamespace(device='cpu', dtype='float32', batch_size=2, seconds=0., joint_epochs=3, student_epochs=8)


@pytest.fixture
def tiny():
    """Config of a ViT of 8 heads at 8 px."""
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap',
                      arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128)),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=32))
