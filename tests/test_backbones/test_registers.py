"""Register tokens of a MaskedViT: timm has them too (test_timm_vit.py); here what of them is ours.

Shapes: N samples, L tokens, C embedding width.
"""

import pytest
import torch
from mmpretrain.registry import MODELS
from test_elastic_contract import ARCHITECTURES, VIT, all_units, assert_same_logits, candidate, images, some_units
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmamd.backbones import MaskedViT
from mmamd.export import cut_network, export_onnx
from mmamd.pruning import network_cost
from mmamd.structures import Cost


@pytest.fixture
def network():
    return ARCHITECTURES['ViT'].network(num_registers=3)


def test_they_stand_behind_the_class_token_and_take_part(network):
    backbone, seen = network.backbone, []
    backbone.layers[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    images_N = images(network, 2)
    before = network(images_N, mode='tensor')
    assert seen[0].shape == (2, 1 + 3 + 4, 12)
    assert torch.equal(seen[0][:, 1:4], backbone.drop_after_pos.tokens.expand(2, -1, -1))
    with torch.no_grad():
        backbone.drop_after_pos.tokens.zero_()
    assert not torch.allclose(network(images_N, mode='tensor'), before)


@pytest.mark.parametrize('out_type, shape', [('featmap', (2, 12, 2, 2)), ('raw', (2, 5, 12)), ('avg_featmap', (2, 12))])
def test_what_the_network_returns_is_without_them(out_type, shape):
    backbone = MODELS.build(dict(type='mmamd.MaskedViT', **VIT, out_type=out_type, num_registers=3))
    backbone.eval()
    behind = []
    backbone.ln1.register_forward_hook(lambda _module, _args, output: behind.append(output))
    returned, = backbone(torch.randn(2, 3, 8, 8))
    assert returned.shape == shape
    tokens_NLC = torch.cat([behind[0][:, :1], behind[0][:, 4:]], dim=1)
    if out_type == 'raw':
        assert torch.equal(returned, tokens_NLC)
    elif out_type == 'featmap':
        assert torch.equal(returned.flatten(2).mT, tokens_NLC[:, 1:])


@pytest.mark.parametrize('choose', [all_units, some_units])
def test_slices_the_cut_model_onnx_and_the_cost_know_of_them(network, choose, tmp_path):
    kept, images_N = choose(network.backbone.unit_groups()), images(network, 2)
    small = cut_network(network, candidate(kept)).requires_grad_(False)
    network.backbone.activate(kept)
    with torch.no_grad():
        assert_same_logits(small(images_N, mode='tensor'), network(images_N, mode='tensor'))
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as profiler:
            small(images_N[:1], mode='tensor')
    network.backbone.activate(None)
    assert network_cost(network, kept) == network_cost(small) == Cost(
        profiler.get_total_flops() // 2, sum(p.numel() for p in small.parameters()))
    assert export_onnx(small, tmp_path / 'model.onnx') <= 1e-5


def test_frozen_with_the_embedding():
    tokens = MaskedViT(**VIT, num_registers=1, frozen_stages=1).drop_after_pos.tokens
    assert not tokens.requires_grad


def test_two_registers_differ_from_the_start():
    first, second = MaskedViT(**VIT, num_registers=2).drop_after_pos.tokens[0]
    assert not torch.equal(first, second)
