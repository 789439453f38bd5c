import pytest
import torch
from joint_step_toys import raw_batch

import mmamd.distillation  # noqa: F401  registers the distiller
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, Cost

# 2 blocks of 2 heads (D = 4) and 6 neurons; 8 x 8 images of 3 classes.
ARCHITECTURE = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap',
                  arch=dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=6)),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=8))
# Nested; the smallest has a block without heads and a block without neurons.
KEPT = {0.1: (0, 2, 1, 0), 0.5: (1, 3, 1, 4), 0.8: (1, 6, 2, 5)}
GROUPS = ('layers.0.head', 'layers.0.neuron', 'layers.1.head', 'layers.1.neuron')


@pytest.fixture(scope='session')
def network_settings():
    return ARCHITECTURE


@pytest.fixture(scope='session')
def settings(tmp_path_factory):
    """Settings of a distiller: its teacher, other weights for the shared network, and a family of three."""
    folder = tmp_path_factory.mktemp('distiller')
    generator = torch.Generator().manual_seed(0)
    for name in ('teacher.pth', 'init.pth'):
        network = MODELS.build(ARCHITECTURE)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
        torch.save(dict(state_dict=network.state_dict()), folder / name)
    candidates = [Candidate(scale, dict(zip(GROUPS, counts, strict=True)), Cost(0, 0), scale)
                  for scale, counts in KEPT.items()]
    CandidateFamily(candidates, Cost(0, 0), {}, 'flops').save(folder / 'family.json')
    return dict(type='mmamd.AMDDistiller', architecture=ARCHITECTURE, teacher=str(folder / 'teacher.pth'),
                init=str(folder / 'init.pth'), family=str(folder / 'family.json'),
                data_preprocessor=dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3, to_rgb=False))


@pytest.fixture(scope='session')
def make_distiller(settings):
    """Function that builds the distiller with some settings replaced."""
    return lambda **overrides: MODELS.build({**settings, **overrides})


@pytest.fixture
def batch():
    return raw_batch()
