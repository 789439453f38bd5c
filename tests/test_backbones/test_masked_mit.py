"""The elastic MixVisionTransformer; what all elastic backbones promise is in test_elastic_contract.py."""

import random

import pytest
import torch
from mmpretrain.registry import MODELS

from mmamd.pruning import rank
from mmamd.structures import Importance

pytestmark = pytest.mark.seg
# Stages of maps of 8 x 8, 4 x 4, 2 x 2 and 1 x 1; the first has one head a block, as that of MiT-b0.
TOY = dict(type='mmamd.MaskedMiT', img_size=32, embed_dims=4, num_layers=[2, 2, 1, 1], num_heads=[1, 2, 3, 4],
           sr_ratios=[8, 4, 2, 1], mlp_ratio=2)


def build(**arguments):
    torch.manual_seed(0)
    return MODELS.build({**TOY, **arguments}).eval()


def test_heads_that_are_alone_in_their_layer_go_last_block_first():
    groups = build().unit_groups()
    draw = random.Random(0)
    scores = {group.name: [draw.random() for _ in range(group.count)] for group in groups}
    sequence = rank(Importance(scores, 1, 'sample'), groups).sequence
    heads = [name for name in sequence if name.startswith('layers.0.') and name.endswith('.head')]
    assert heads == ['layers.0.1.0.head', 'layers.0.1.1.head']
    assert {group.scope for group in groups} == {f'layers.{i}' for i in range(4)}


def test_a_head_is_worth_its_part_of_four_matrices_and_of_two_products():
    # Stage 1: 16 tokens of width 8, two heads of width 4, and a map of 1 x 1 that they attend to.
    mit = build()
    kept = {group.name: group.count for group in mit.unit_groups()}
    one, none = (mit.cost({**kept, 'layers.1.1.0.head': count}) for count in (1, 0))
    saved = mit.cost(kept).macs - one.macs
    assert saved == 16 * 8 * 4 + 2 * 1 * 8 * 4 + 2 * 16 * 1 * 4 + 16 * 8 * 4  # queries; keys, values; products; output
    # With the last head go the reduction, 4 x 4 positions of 8 channels into 8 at one place, and the two norms.
    assert one.macs - none.macs == saved + 1 * 8 * 8 * 4 * 4
    assert one.params - none.params == 4 * 8 * 4 + 3 * 4 + (8 * 8 * 4 * 4 + 8) + 2 * 8 + 2 * 8


def test_a_neuron_takes_its_kernel_along():
    mit = build()
    ffn = mit.layers[0][1][0].ffn
    kernels = ffn.layers[1].weight.detach().clone()
    mit.reorder({'layers.0.1.0.neuron': [5, *range(5), 6, 7]})
    assert torch.equal(ffn.layers[1].weight[0], kernels[5])
    mit.cut({group.name: 1 for group in mit.unit_groups()})
    assert torch.equal(ffn.layers[1].weight, kernels[5:6])


@pytest.mark.parametrize('wrong, message', [
    (dict(with_cp=True), 'MaskedMiT does not support with_cp=True'),
    (dict(qkv_bias=False), 'layers.0: attention without biases is not supported; set qkv_bias=True'),
    (dict(img_size=(32, 24)), r'img_size=\(32, 24\) leaves a map of \(8, 6\) to layers.0, whose attention reduces it '
                              'by 8; use larger images')])
def test_what_cannot_run_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)
