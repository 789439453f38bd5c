"""The elastic vision transformer against MMPretrain's, which it must be when all units run.

Shapes: N samples, L tokens, C embedding width.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.models import DeiT3, VisionTransformer

from mmamd.backbones import MaskedViT
from mmamd.backbones.elastic_layers import BiasBranch

# 2 blocks of 3 heads (D = 4) and 10 neurons; 2 x 2 patches.
TOY = dict(arch=dict(embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10), img_size=8, patch_size=4)
NUM_TOKENS = 2 * 2 + 1
OPTIONS = {
    'cls_token': dict(),
    'avg_featmap': dict(out_type='avg_featmap'),
    'raw': dict(out_type='raw'),
    'featmap': dict(out_type='featmap'),
    'no class token': dict(out_type='avg_featmap', with_cls_token=False),
    'pre_norm': dict(pre_norm=True),
    'layer scale': dict(layer_scale_init_value=0.1),
    'no qkv bias': dict(qkv_bias=False),
    'dropout and drop path': dict(drop_rate=0.2, drop_path_rate=0.4, layer_cfgs=dict(attn_drop_rate=0.3)),
    'all blocks, no final norm': dict(out_indices=[0, 1], final_norm=False),
    'SwiGLU': dict(layer_cfgs=dict(ffn_type='swiglu_fused'), layer_scale_init_value=0.1),
    'oblong images, one channel': dict(img_size=(8, 16), in_channels=1),
}
with_each_option = pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())


def drawn_at_random(backbone):
    """Weights far from their initial zeros and ones, so that every one of them matters."""
    generator = torch.Generator().manual_seed(0)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return backbone


def pair(options):
    """MMPretrain's network and ours with its weights, in eval mode, and a batch of two images."""
    host = drawn_at_random(VisionTransformer(**{**TOY, **options}))
    ours = MaskedViT(**{**TOY, **options})
    ours.load_state_dict(host.state_dict())
    for network in (host, ours):
        network.eval()
    images = torch.randn(2, *ours.input_shape, generator=torch.Generator().manual_seed(1))
    return host, ours, images


def assert_same_function(actual, expected):
    difference = max((a - b).abs().max().item() for a, b in zip(actual, expected, strict=True))
    assert difference <= 1e-5 * max(b.abs().max().item() for b in expected)


# --- the full candidate is the host's network ---

@with_each_option
def test_full_candidate_is_the_host_network_bit_for_bit(options):
    host, ours, images = pair(options)
    for expected, actual in zip(host(images), ours(images), strict=True):
        assert torch.equal(actual, expected)


@with_each_option
def test_full_candidate_trains_as_the_host_network_bit_for_bit(options):
    # Dropout and drop path included: the same seed draws the same masks.
    host, ours, images = pair(options)
    for network in (host, ours):
        torch.manual_seed(0)
        network.train()
        sum((out ** 2).sum() for out in network(images)).backward()
    assert all(torch.equal(ours.get_parameter(name).grad, parameter.grad)
               for name, parameter in host.named_parameters())


def test_images_of_another_size_are_run_as_the_host_runs_them():
    host, ours, _ = pair(dict(out_type='featmap'))
    larger = torch.randn(1, 3, 12, 16)
    assert ours(larger)[0].shape == (1, 12, 3, 4)
    assert torch.equal(ours(larger)[0], host(larger)[0])


@with_each_option
def test_host_state_dict_loads_with_no_missing_and_no_unexpected_key(options):
    host, ours = VisionTransformer(**{**TOY, **options}).state_dict(), MaskedViT(**{**TOY, **options})
    assert list(ours.state_dict()) == list(host)
    loaded = ours.load_state_dict(host, strict=False)
    assert not loaded.missing_keys and not loaded.unexpected_keys
    assert all(torch.equal(value, host[key]) for key, value in ours.state_dict().items())


def test_a_teacher_from_scratch_starts_from_the_host_initial_weights():
    states = []
    for network in (VisionTransformer, MaskedViT):
        torch.manual_seed(0)
        backbone = network(**TOY)
        backbone.init_weights()
        states.append(backbone.state_dict())
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())


# --- its units ---

def test_unit_groups_are_the_heads_and_neurons_of_each_block_ranked_over_the_whole_network():
    groups = MaskedViT(**TOY).unit_groups()
    assert [(g.name, g.kind, g.count, g.scope) for g in groups] == [
        ('layers.0.head', 'head', 3, 'all'), ('layers.0.neuron', 'neuron', 10, 'all'),
        ('layers.1.head', 'head', 3, 'all'), ('layers.1.neuron', 'neuron', 10, 'all')]
    assert [g.block for g in groups] == ['layers.0', 'layers.0', 'layers.1', 'layers.1']


ORDERS = st.fixed_dictionaries({f'layers.{i}.{kind}': st.permutations(range(count))
                                for i in range(2) for kind, count in (('head', 3), ('neuron', 10))})


@settings(deadline=None, max_examples=10)
@given(ORDERS, st.sampled_from(['cls_token', 'no qkv bias', 'layer scale']))
def test_reordering_units_does_not_change_the_function(order, options):
    _, network, images = pair(OPTIONS[options])
    before = network(images)
    network.reorder(order)
    assert_same_function(network(images), before)


@settings(deadline=None, max_examples=10)
@given(ORDERS, st.integers(0, 3), st.integers(0, 10))
def test_after_reordering_the_leading_units_are_those_that_the_order_names_first(order, heads, neurons):
    _, network, images = pair(OPTIONS['cls_token'])
    kept = {name: heads if name.endswith('head') else neurons for name in order}
    with torch.no_grad(), network.gates(len(images)) as gates:
        for name, gate_NU in gates.items():
            gate_NU[:, order[name][kept[name]:]] = 0
        expected = network(images)
    network.reorder(order)
    network.activate(kept)
    assert_same_function(network(images), expected)


def test_gates_act_on_their_own_sample_and_end_with_their_context():
    _, network, images = pair(OPTIONS['cls_token'])
    full, = network(images)
    with torch.no_grad(), network.gates(2) as gates:
        assert {name: tuple(gate.shape) for name, gate in gates.items()} == {
            'layers.0.head': (2, 3), 'layers.0.neuron': (2, 10), 'layers.1.head': (2, 3), 'layers.1.neuron': (2, 10)}
        gates['layers.0.head'][1] = 0
        gated, = network(images)
    assert torch.equal(gated[0], full[0]) and not torch.allclose(gated[1], full[1])
    assert torch.equal(network(images)[0], full)


def test_activating_none_runs_all_units_again():
    _, network, images = pair(OPTIONS['cls_token'])
    full, = network(images)
    network.activate({group.name: 1 for group in network.unit_groups()})
    assert not torch.allclose(network(images)[0], full)
    network.activate(None)
    assert torch.equal(network(images)[0], full)


@pytest.mark.parametrize('options', ['cls_token', 'pre_norm', 'dropout and drop path'])
def test_hidden_states_are_the_embedding_and_every_block(options):
    _, network, images = pair(OPTIONS[options])
    states_NLC = []
    for module in network.hidden_state_modules:
        module.register_forward_hook(lambda _module, _inputs, output: states_NLC.append(output))
    network.activate({'layers.0.head': 0, 'layers.0.neuron': 3, 'layers.1.head': 2, 'layers.1.neuron': 0})
    network(images)
    assert [tuple(state.shape) for state in states_NLC] == 3 * [(2, NUM_TOKENS, 12)]
    embedded_NPC, _ = network.patch_embed(images)
    tokens_NLC = torch.cat([network.cls_token.expand(2, -1, -1), embedded_NPC], 1) + network.pos_embed
    assert torch.equal(states_NLC[0], network.pre_norm(tokens_NLC))
    assert torch.equal(states_NLC[2], network.layers[1](states_NLC[1]))


def test_a_network_cut_at_construction_holds_only_what_it_was_asked_for():
    network = MaskedViT(heads=[0, 2], neurons=[4, 0], **TOY)
    assert [(g.name, g.count) for g in network.unit_groups()] == [('layers.0.neuron', 4), ('layers.1.head', 2)]
    first, second = network.layers
    assert isinstance(first.attn, BiasBranch) and isinstance(first.ln1, torch.nn.Identity)
    assert isinstance(second.ffn, BiasBranch) and isinstance(second.ln2, torch.nn.Identity)
    assert second.attn.qkv.weight.shape == (3 * 2 * 4, 12) and second.attn.proj.weight.shape == (12, 2 * 4)
    assert first.ffn.layers[0][0].weight.shape == (4, 12) and first.ffn.layers[1].weight.shape == (12, 4)


def test_blocks_that_are_frozen_stay_so_when_they_are_cut():
    network = MaskedViT(heads=[0, 2], neurons=[4, 0], frozen_stages=1, **TOY)
    assert not any(parameter.requires_grad for parameter in network.layers[0].parameters())
    assert all(parameter.requires_grad for parameter in network.layers[1].parameters())


def test_a_plain_config_leaves_out_that_there_are_no_registers():
    config = dict(type='mmamd.MaskedViT', num_registers=0, **TOY)
    network = MaskedViT(num_registers=0, **TOY)
    plain = network.plain_config(config, {group.name: group.count for group in network.unit_groups()})
    assert plain['type'] == 'VisionTransformer' and 'num_registers' not in plain


# --- what is refused ---

def test_feed_forward_layers_that_neurons_cannot_be_cut_from_are_refused():
    with pytest.raises(ValueError, match="^FFN cannot be pruned by neurons; .* ffn_type='origin' and num_fcs=2"):
        MaskedViT(layer_cfgs=dict(num_fcs=3), **TOY)


@pytest.mark.parametrize('counts, message', [
    (dict(heads=[1]), r'heads must give one count for each of the 2 blocks, got 1: \[1\]'),
    (dict(neurons=[1, 2, 3]), r'neurons must give one count for each of the 2 blocks, got 3: \[1, 2, 3\]'),
    (dict(heads=[3, 4]), r'cannot keep 4 of 3 heads; expected 0 to 3'),
    (dict(neurons=[-1, 10]), r'cannot keep -1 of 10 neurons; expected 0 to 10'),
])
def test_counts_that_the_network_cannot_keep_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        MaskedViT(**counts, **TOY)


def test_activating_more_units_than_there_are_is_refused():
    network = MaskedViT(**TOY)
    kept = {group.name: group.count for group in network.unit_groups()} | {'layers.1.neuron': 11}
    with pytest.raises(ValueError, match='cannot keep 11 of 10 neurons; expected 0 to 10'):
        network.activate(kept)


@pytest.mark.parametrize('order', [[0, 1], [0, 1, 1], [1, 2, 3]])
def test_an_order_that_is_no_permutation_is_refused_and_moves_nothing(order):
    network = drawn_at_random(MaskedViT(**TOY))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=f'order of layers.1.head must be a permutation of its 3 units, got '
                                         f'.*{str(order)[1:-1]}'):
        network.reorder({'layers.0.head': [2, 1, 0], 'layers.1.head': order})
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_weights_of_deit3_load_and_its_class_token_gets_a_position_of_zeros():
    host = drawn_at_random(DeiT3(**TOY))
    ours = MaskedViT(**TOY, layer_scale_init_value=1.)
    ours.load_state_dict(host.state_dict())
    assert ours.pos_embed[:, 0].abs().max() == 0
    assert torch.equal(ours.pos_embed[:, 1:], host.pos_embed)
    assert torch.equal(ours.layers[1].ffn.gamma2.weight, host.layers[1].ffn.gamma2.weight)
