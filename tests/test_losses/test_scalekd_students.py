"""Students of every kind learn by the term, are plain afterwards, and what it computes is counted."""

import pytest
import torch
from mmengine.registry import DefaultScope
from pairs import PREPROCESSOR, _distiller, steps
from torch import nn

from mmamd.pruning.complexity import profiled_macs
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost

SCALEKD = dict(type='mmamd.ScaleKDLoss')
# Maps of 4 x 4, 2 x 2 and one position after a stem that keeps 8 x 8; 4 x 4 tokens.
CONVNEXT = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ConvNeXt', stem_patch_size=1, arch=dict(depths=[1] * 4, channels=[4, 5, 6, 8])),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=8))
MIXER = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.MlpMixer', img_size=8, patch_size=2, arch=dict(
        embed_dims=8, num_layers=2, tokens_mlp_dims=4, channels_mlp_dims=8)),
    neck=dict(type='mmpretrain.GlobalAveragePooling', dim=1),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=8))
# Tokens of 4 x 4 and a class token; of 4 x 4 and 2 x 2; maps of one position.
VIT = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.VisionTransformer', img_size=8, patch_size=2, out_type='avg_featmap', arch=dict(
        embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=12)),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=8))
SWIN = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.SwinTransformer', img_size=8, patch_size=2, window_size=2,
                  drop_path_rate=0., out_indices=(1,), arch=dict(embed_dims=4, depths=[1, 1], num_heads=[1, 2])),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=8))
MOBILENET = dict(
    type='mmpretrain.ImageClassifier', backbone=dict(type='mmpretrain.MobileNetV2', widen_factor=0.25, norm_eval=True),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=1280))


@pytest.mark.parametrize('student, layers, own', [
    (CONVNEXT, ('backbone.stages.2', 'backbone.stages.3'), [(6, 2, 2), (8, 1, 1)]),
    (MIXER, ('backbone.layers.0', 'backbone.ln1'), [(8, 4, 4), (8, 4, 4)]),
    (VIT, ('backbone.layers.0', 'backbone.ln1'), [(8, 4, 4), (8, 4, 4)]),
    (SWIN, ('backbone.stages.0.blocks.0', 'backbone.norm1'), [(4, 4, 4), (8, 2, 2)]),
    (MOBILENET, ('backbone.layer6', 'backbone.layer7'), [(40, 1, 1), (80, 1, 1)])])
def test_students_of_other_kinds_learn_and_are_plain(network_settings, student, layers, own):
    teacher = dict(architecture={**network_settings, 'data_preprocessor': PREPROCESSOR}, weights=None)
    distiller = _distiller(architecture=student, teacher=teacher, start=None, candidates=None,
                           losses=dict(scalekd=dict(SCALEKD, student_layers=layers)))
    paths = distiller.terms['scalekd'].paths[0]['original']
    assert [tuple(projector.positions.shape) for projector in (paths.proxy, paths.student)] == own
    steps(distiller)
    reached = [name for name, p in distiller.network.named_parameters() if p.requires_grad]
    assert len(reached) > 10 and all(distiller.network.get_parameter(name).grad.any() for name in reached)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        alone = MODELS.build(student).eval()
    alone.load_state_dict(distiller.network.state_dict(), strict=True)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(alone(images), distiller.eval().network(images))


# --- costs ---

def cap(queries, keys=4, width=8, own=8):
    """MACs of a projector's forward pass: stem, entry, attention's four maps and two products, feed-forward."""
    return (9 * own**2 * keys + width**2 * queries + 2 * width**2 * queries + 2 * own * width * keys
            + 2 * queries * keys * width + 8 * width**2 * queries)


# One block of 8 channels and 6 neurons over five tokens: its four linear maps, and the two products of attention.
LINEAR, PRODUCTS = 5 * (4 * 8**2 + 2 * 8 * 6), 2 * 5**2 * 8


@pytest.mark.parametrize('options, expected', [
    # Projectors learn, so a backward pass is two forward passes. The teacher's block does not: of its linear maps the
    # gradient of the stream alone is asked, of its products those of both factors.
    (dict(), 2 * (3 * (cap(5) + cap(4)) + 2 * LINEAR + 3 * PRODUCTS)),
    (dict(dfm=False), 3 * (cap(5) + cap(4)) + 2 * LINEAR + 3 * PRODUCTS),
    (dict(tpp=False), 2 * 3 * cap(4)), (dict(tpp=False, dfm=False, kd=False), 3 * cap(4)),
    (dict(tpp=False, dfm=False, projector='linear'), 3 * 4 * 8**2)])
def test_what_the_term_computes_is_counted(make_distiller, options, expected):
    candidates = [Candidate(scale, None, Cost(1000, 1), 0.) for scale in (0.1, 0.5)]
    distiller = make_distiller(losses=dict(scalekd=dict(SCALEKD, **options)), candidates=None)
    assert distiller.terms['scalekd'].macs == expected
    distiller.teacher_networks, distiller.caches = [], []  # what teachers cost is counted elsewhere
    assert distiller.macs(candidates) == 2 * (3 * 1000 + expected)
    assert all(p.grad is None for p in distiller.parameters())


def test_products_are_counted_in_both_directions():
    x = torch.ones(5, 3, requires_grad=True)
    linear, attention = nn.Linear(3, 2), nn.functional.scaled_dot_product_attention
    assert profiled_macs(lambda: linear(x)) == 5 * 3 * 2
    assert profiled_macs(lambda: linear(x).sum().backward()) == 3 * 5 * 3 * 2
    assert profiled_macs(lambda: attention(x[None], x[None], x[None]).sum().backward()) == 3 * 2 * 5 * 5 * 3
