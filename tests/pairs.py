"""Two networks for terms that compare hidden states: states alone, candidates of a CNN, two architectures."""

from dataclasses import asdict

import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost


def built(term, student, teacher, seed=0):
    """A term built for states, name -> tensor, of which those of one place are a pair; and the outputs of both."""
    term.pairs = [list(zip(student, teacher, strict=True))]
    outputs = [Outputs(nn.Sequential(), torch.zeros(1, 3, 8, 8), [], None, states) for states in (student, teacher)]
    torch.manual_seed(seed)
    with torch.no_grad():
        term.build(outputs[0], [outputs[1]], 0)
    return term, *outputs


def classifier(backbone, width):
    return dict(type='mmpretrain.ImageClassifier', backbone=backbone,
                neck=dict(type='mmpretrain.GlobalAveragePooling'),
                head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=width))


WIDE = classifier(dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8), 64)
SWIN = classifier(dict(type='mmamd.MaskedSwin', img_size=8, patch_size=1, window_size=2, out_indices=(1,),
                       drop_path_rate=0., arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4])), 16)
VGG = classifier(dict(type='mmamd.CifarVGG', depth=8, widths=(4, 5, 6, 7, 8)), 8)
STAGES = [('backbone.stages.0', 'backbone.stages.0'), ('backbone.stages.2', 'backbone.stages.2')]


def cnn_distiller(losses, num_candidates=2, architecture=WIDE):
    """A distiller of untrained WideResNets, or other elastic networks: the whole one, and before it half of it."""
    whole = {group.name: group.count for group in MODELS.build(architecture).backbone.unit_groups()}
    kept = [{name: count // 2 for name, count in whole.items()}, whole][-num_candidates:]
    candidates = [asdict(Candidate(scale, each, Cost(1, 1), scale))
                  for scale, each in zip((0.5, 0.9)[-num_candidates:], kept, strict=True)]
    return _distiller(architecture=architecture, teacher=None, candidates=candidates, losses=losses)


def external_distiller(losses):
    """A distiller of an untrained VGG by a WideResNet."""
    teacher = dict(architecture={**WIDE, 'data_preprocessor': PREPROCESSOR}, weights=None)
    return _distiller(architecture=VGG, teacher=teacher, start=None, losses=losses,
                      candidates=[asdict(Candidate(0.1, None, Cost(1, 1), 0.))])


def steps(distiller):
    """Values of one batch by each candidate, gradients left on the parameters."""
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    samples = [DataSample().set_gt_label(label) for label in (0, 2, 1, 2)]
    distiller.train()
    targets, values = distiller.teach(images, samples), []
    for candidate in distiller.candidates:
        distiller.activate(candidate)
        found = distiller.loss(images, samples, targets)
        total = sum(value for key, value in found.items() if 'loss' in key)
        total.backward()
        values.append(total.item())
    return values


PREPROCESSOR = dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3)


def _distiller(**settings):
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmamd.AMDDistiller', data_preprocessor=PREPROCESSOR, **settings))
