import pytest
import torch
from mmpretrain.models import ImageClassifier

import mmamd.backbones  # noqa: F401  registers MaskedViT


@pytest.fixture(scope='session')
def make_classifier():
    """Function (layers, heads, head_dims, neurons, **backbone options) -> classifier of 8 x 8 images, 5 classes."""

    def make(layers=2, heads=3, head_dims=2, neurons=7, seed=0, **options):
        width = heads * head_dims
        arch = dict(embed_dims=width, num_layers=layers, num_heads=heads, feedforward_channels=neurons)
        network = ImageClassifier(
            backbone=dict(type='mmamd.MaskedViT', arch=arch, img_size=8, patch_size=4, **options),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=width))
        # Far from the initial zeros and ones, so that every weight matters.
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
        return network.eval()

    return make
