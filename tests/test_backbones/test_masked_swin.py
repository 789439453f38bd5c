"""The elastic Swin transformer against MMPretrain's; what all elastic backbones promise is in test_elastic_contract.py.

Shapes: N samples, L tokens, C embedding width, h x w a map, W windows, T tokens of a window, H heads.
"""

import functools

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpretrain.models import ImageClassifier, SwinTransformer
from mmpretrain.models.utils import ShiftWindowMSA, WindowMSAV2
from mmpretrain.registry import MODELS

from mmamd.backbones import MaskedSwin
from mmamd.backbones.elastic_window_attention import (
    MapBiasBranch,
    join_windows,
    shift_mask,
    split_windows,
)
from mmamd.distillation.losses.feature import feature_loss, resolve_layers
from mmamd.export import cut_network, export_candidate
from mmamd.pruning import cost_function, make_family, network_cost
from mmamd.structures import Candidate, Cost, Importance
from mmamd.weights.checkpoint import load_weights

# Maps of 8 x 8 and 4 x 4 tokens in windows of 4 x 4: four windows, every second block shifted; one window, never
# shifted. 2 blocks of 2 heads (D = 4) and 8 neurons, 2 blocks of 4 heads (D = 4) and 16 neurons.
TOY = dict(arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4]), img_size=16, patch_size=2, window_size=4,
           out_indices=(1,), stage_cfgs=dict(block_cfgs=dict(ffn_ratio=1.)))
OPTIONS = {
    'plain': dict(),
    'window that does not divide the map': dict(window_size=3),
    'map that the patches do not divide': dict(img_size=18, window_size=2),
    'oblong images, one channel': dict(img_size=(16, 24), in_channels=1),
    'map one window high': dict(img_size=(8, 24), window_size=4, arch=dict(embed_dims=8, depths=[2], num_heads=[2]),
                                out_indices=(0,)),
    'small maps padded': dict(window_size=5, pad_small_map=True),
    'small maps padded to one window': dict(pad_small_map=True),
    'absolute positions': dict(use_abs_pos_embed=True),
    'both stages': dict(out_indices=(0, 1)),
    'both stages, after merging': dict(out_indices=(0, 1), out_after_downsample=True),
    'no norm of the output': dict(norm_cfg=None),
    'no qkv bias, scale of its own': dict(stage_cfgs=dict(block_cfgs=dict(
        ffn_ratio=1., attn_cfgs=dict(qkv_bias=False, qk_scale=0.3)))),
    'dropout and drop path': dict(drop_rate=0.2, drop_path_rate=0.4, stage_cfgs=dict(block_cfgs=dict(
        ffn_ratio=1., attn_cfgs=dict(proj_drop=0.3), ffn_cfgs=dict(ffn_drop=0.3)))),
    'windows of each stage': dict(stage_cfgs=[
        dict(window_size=2, block_cfgs=dict(ffn_ratio=1.)), dict(window_size=4, block_cfgs=dict(ffn_ratio=1.))]),
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
    host = drawn_at_random(SwinTransformer(**{**TOY, **options}))
    ours = MaskedSwin(**{**TOY, **options})
    ours.load_state_dict(host.state_dict())
    for network in (host, ours):
        network.eval()
    return host, ours, torch.randn(2, *ours.input_shape, generator=torch.Generator().manual_seed(1))


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


# --- the full candidate is the host's network ---

@with_each_option
def test_full_candidate_is_the_host_network(options):
    host, ours, images = pair(options)
    with torch.no_grad():
        for actual, expected in zip(ours(images), host(images), strict=True):
            assert_close(actual, expected)


@with_each_option
def test_full_candidate_trains_as_the_host_network(options):
    # Dropout and drop path included: the same seed draws the same masks.
    host, ours, images = pair(options)
    for network in (host, ours):
        torch.manual_seed(0)
        network.train()
        sum((out ** 2).mean() for out in network(images)).backward()
    for name, parameter in host.named_parameters():
        assert_close(ours.get_parameter(name).grad, parameter.grad)


def test_dropped_attention_drops_in_training_alone():
    options = dict(stage_cfgs=dict(block_cfgs=dict(ffn_ratio=1., attn_cfgs=dict(attn_drop=0.5))))
    host, ours, images = pair(options)
    with torch.no_grad():
        assert_close(ours(images)[0], host(images)[0])
        ours.train()
        assert not torch.allclose(ours(images)[0], ours(images)[0])


def test_images_of_another_size_are_run_as_the_host_runs_them():
    host, ours, _ = pair({})
    larger = torch.randn(1, 3, 24, 40)
    with torch.no_grad():
        assert ours(larger)[0].shape == (1, 16, 6, 10)
        assert_close(ours(larger)[0], host(larger)[0])


@with_each_option
def test_host_state_dict_loads_with_no_missing_and_no_unexpected_key(options):
    host, ours = SwinTransformer(**{**TOY, **options}).state_dict(), MaskedSwin(**{**TOY, **options})
    assert list(ours.state_dict()) == list(host)
    loaded = ours.load_state_dict(host, strict=False)
    assert not loaded.missing_keys and not loaded.unexpected_keys
    assert all(torch.equal(value, host[key]) for key, value in ours.state_dict().items())


def load_by_torch(network, path):
    network.load_state_dict(torch.load(path))


@pytest.mark.parametrize('load', [load_by_torch, load_checkpoint, load_weights],
                         ids=['by torch', 'as load_from', 'as a teacher'])
def test_checkpoints_of_the_hosts_earlier_versions_load(load, tmp_path):
    host, _, images = pair({})
    names = {'norm1.weight': 'norm.weight', 'norm1.bias': 'norm.bias'}
    state = {f'backbone.{names.get(key, key)}': value for key, value in host.state_dict().items()}
    state['backbone.stages.0.blocks.1.attn.attn_mask'] = torch.zeros(4, 16, 16)
    torch.save(state, tmp_path / 'old.pth')
    network = ImageClassifier(backbone=dict(type='mmamd.MaskedSwin', **TOY)).eval()
    load(network, str(tmp_path / 'old.pth'))
    with torch.no_grad():
        assert_close(network.backbone(images)[0], host(images)[0])


# --- windows ---

def test_windows_are_split_as_the_host_splits_them_and_joined_again():
    maps_NhwC = torch.randn(2, 6, 9, 5)
    windows_NWTC = split_windows(maps_NhwC, 3)
    assert windows_NWTC.shape == (2, 6, 9, 5)
    assert torch.equal(windows_NWTC.reshape(12, 3, 3, 5), ShiftWindowMSA.window_partition(maps_NhwC, 3))
    assert torch.equal(join_windows(windows_NWTC, (6, 9), 3), maps_NhwC)


@pytest.mark.parametrize('size, window, shift', [((8, 8), 4, 2), ((6, 9), 3, 1), ((7, 14), 7, 3)])
def test_tokens_that_the_shift_brought_together_do_not_attend_to_each_other(size, window, shift):
    mask_WTT = shift_mask(size, window, shift, torch.zeros(1))
    assert torch.equal(mask_WTT, ShiftWindowMSA.get_attn_mask(size, window, shift))


# --- its units ---

def test_unit_groups_are_the_heads_and_neurons_of_each_block_ranked_within_their_stage():
    groups = MaskedSwin(**TOY).unit_groups()
    assert [(g.name, g.kind, g.count, g.scope) for g in groups] == [
        ('stages.0.blocks.0.head', 'head', 2, 'stages.0'), ('stages.0.blocks.0.neuron', 'neuron', 8, 'stages.0'),
        ('stages.0.blocks.1.head', 'head', 2, 'stages.0'), ('stages.0.blocks.1.neuron', 'neuron', 8, 'stages.0'),
        ('stages.1.blocks.0.head', 'head', 4, 'stages.1'), ('stages.1.blocks.0.neuron', 'neuron', 16, 'stages.1'),
        ('stages.1.blocks.1.head', 'head', 4, 'stages.1'), ('stages.1.blocks.1.neuron', 'neuron', 16, 'stages.1')]
    assert list(dict.fromkeys(g.block for g in groups)) == [
        'stages.0.blocks.0', 'stages.0.blocks.1', 'stages.1.blocks.0', 'stages.1.blocks.1']


@with_each_option
def test_a_head_takes_its_column_of_the_position_bias_along(options):
    _, network, images = pair(options)
    with torch.no_grad():
        before = network(images)
        name, table_TH = next((name, value) for name, value in network.named_parameters() if 'bias_table' in name)
        columns = table_TH.detach().clone()
        network.reorder({'stages.0.blocks.0.head': [1, 0]})
        assert torch.equal(network.get_parameter(name), columns[:, [1, 0]])
        for actual, expected in zip(network(images), before, strict=True):
            assert_close(actual, expected)


@with_each_option
def test_the_cut_model_is_the_candidate(options):
    _, network, images = pair(options)
    kept = {group.name: group.count for group in network.unit_groups()}
    kept |= {'stages.0.blocks.0.head': 1, 'stages.0.blocks.0.neuron': 0, 'stages.0.blocks.1.head': 0}
    with torch.no_grad():
        network.activate(kept)
        expected = network(images)
        network.cut(kept)
        for actual, out in zip(network(images), expected, strict=True):
            assert_close(actual, out)


def test_a_network_cut_at_construction_holds_only_what_it_was_asked_for():
    network = MaskedSwin(heads=[0, 2, 3, 4], neurons=[4, 8, 0, 16], **TOY)
    first, third = network.stages[0].blocks[0], network.stages[1].blocks[0]
    assert isinstance(first.attn, MapBiasBranch) and isinstance(first.norm1, torch.nn.Identity)
    assert isinstance(third.norm2, torch.nn.Identity)
    assert third.attn.w_msa.relative_position_bias_table.shape == (7 * 7, 3)
    assert third.attn.w_msa.qkv.weight.shape == (3 * 3 * 4, 16) and third.attn.w_msa.proj.weight.shape == (16, 3 * 4)
    assert first.ffn.layers[0][0].weight.shape == (4, 8) and first.ffn.layers[1].weight.shape == (8, 4)


@pytest.mark.parametrize('options', [
    dict(), dict(stage_cfgs=[dict(block_cfgs=dict(ffn_ratio=1.)), dict(block_cfgs=[dict(), dict(
        ffn_cfgs=dict(act_cfg=dict(type='ReLU')))])])], ids=['blocks alike', 'blocks apart'])
def test_a_network_that_lost_neurons_alone_is_a_plain_swin_of_the_host(options, tmp_path):
    architecture = dict(
        type='ImageClassifier', backbone=dict(type='mmamd.MaskedSwin', **{**TOY, **options}),
        neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=3, in_channels=16))
    network = drawn_at_random(MODELS.build(architecture)).eval()
    kept = {group.name: group.count if group.kind == 'head' else group.count // 3
            for group in network.backbone.unit_groups()} | {'stages.0.blocks.1.neuron': 0}
    config = Config(dict(default_scope='mmpretrain', model=dict(architecture=architecture)))
    written, = export_candidate(config, network, Candidate(0.5, kept, Cost(0, 0), 0.5), ['mmpretrain'], tmp_path)
    assert written.difference <= 1e-5
    plain = Config.fromfile(tmp_path / 'mmpretrain_config.py').model.backbone
    assert plain.type == 'SwinTransformer'


def test_a_network_that_lost_heads_is_no_plain_swin_and_the_blocks_are_named():
    network = MaskedSwin(**TOY)
    kept = {group.name: group.count for group in network.unit_groups()} | {'stages.1.blocks.0.head': 3}
    with pytest.raises(ValueError, match=r'stages.1.blocks.0 keeps 3 of 4 heads, and the attention of a '
                                         r'SwinTransformer is as wide .* \(compression.prune='):
        network.plain_config(dict(TOY), kept)


def test_hidden_states_are_the_embedding_and_every_block_and_the_feature_loss_takes_them():
    _, network, images = pair({})
    states_NLC = []
    for module in network.hidden_state_modules:
        module.register_forward_hook(lambda _module, _inputs, output: states_NLC.append(output))
    network(images)
    assert [tuple(state.shape) for state in states_NLC] == 3 * [(2, 64, 8)] + 2 * [(2, 16, 16)]
    assert resolve_layers('auto', len(states_NLC) - 1) == [0, 1, 2, 3, 4]
    # Each layer by its own mean: 4, then 1 for the others.
    targets = [state + (2. if i == 0 else 1.) for i, state in enumerate(states_NLC)]
    torch.testing.assert_close(feature_loss(states_NLC, targets), torch.tensor((4 + 4 * 1) / 5))


# --- Swin-T, -S, -B and -L, 224 px, 1000 classes ---

@pytest.fixture(scope='module')
def full_size():
    """Function from an architecture to its classifier on the meta device, which computes shapes only."""

    @functools.cache
    def build(arch):
        width = {'tiny': 768, 'small': 768, 'base': 1024, 'large': 1536}[arch]
        with pytest.MonkeyPatch.context() as patch, torch.device('meta'):
            # The host reads numbers from a tensor, its drop path rates; they cannot be on the meta device.
            patch.setattr(torch, 'linspace', functools.partial(torch.linspace, device='cpu'))
            return ImageClassifier(
                backbone=dict(type='mmamd.MaskedSwin', arch=arch, img_size=224),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=1000, in_channels=width))

    return build


# Exact MACs, those without the two products of attention (the convention of MMPretrain's zoo), parameters.
@pytest.mark.parametrize('arch, macs, without_products, params', [
    ('tiny', 4.491, 4.350, 28.29), ('small', 8.741, 8.512, 49.61), ('base', 15.431, 15.126, 87.77),
    ('large', 34.476, 34.018, 196.53)])
def test_cost_of_swin(full_size, arch, macs, without_products, params):
    network = full_size(arch)
    cost = network_cost(network)
    # Every token attends to the 7 x 7 of its window: two products of that many values a channel.
    products = sum(2 * tokens * 49 * width * depth for tokens, width, depth in zip(
        (56**2, 28**2, 14**2, 7**2), network.backbone.num_features, network.backbone.depths, strict=True))
    assert round(cost.macs / 1e9, 3) == macs
    assert round((cost.macs - products) / 1e9, 3) == without_products
    assert round(cost.params / 1e6, 2) == params


def test_cost_of_swin_tiny_by_hand(full_size):
    # A block of L tokens and width C: qkv and proj 4 L C^2, attention 2 L 49 C, feed-forward 8 L C^2.
    blocks = sum(depth * (12 * L * C**2 + 98 * L * C) for depth, L, C in (
        (2, 3136, 96), (2, 784, 192), (6, 196, 384), (2, 49, 768)))
    merging = 784 * 384 * 192 + 196 * 768 * 384 + 49 * 1536 * 768
    assert network_cost(full_size('tiny')).macs == 3136 * 48 * 96 + blocks + merging + 768 * 1000


def test_padded_windows_cost_what_they_run():
    # 16 / 2 = 8 tokens a side are padded to 9: 81 tokens, each of which attends to 9.
    network = MaskedSwin(**{**TOY, 'window_size': 3})
    kept = {group.name: group.count for group in network.unit_groups()}
    one_less = kept | {'stages.0.blocks.0.head': 1}
    head = Cost(macs=81 * (4 * 8 * 4 + 2 * 9 * 4), params=4 * 8 * 4 + 3 * 4 + 25)  # D = 4, C = 8; 5 x 5 biases
    assert network.cost(kept) == network.cost(one_less) + head


@pytest.mark.parametrize('arch', ['tiny', 'base'])
def test_a_tenth_of_the_units_is_a_tenth_of_every_stage(full_size, arch):
    network = full_size(arch)
    groups = network.backbone.unit_groups()
    generator = torch.Generator().manual_seed(0)
    scores = {g.name: torch.rand(g.count, generator=generator, dtype=torch.float64).tolist() for g in groups}
    family = make_family(groups, Importance(scores, 1, 'sample'), cost_function(network), [0.1, 0.5], scale_by='units')
    for scale, candidate in zip((0.1, 0.5), family.candidates, strict=True):
        for kind in ('head', 'neuron'):
            for stage in ('stages.0', 'stages.1', 'stages.2', 'stages.3'):
                pool = [g for g in groups if (g.kind, g.scope) == (kind, stage)]
                total, kept = sum(g.count for g in pool), sum(candidate.kept[g.name] for g in pool)
                assert kept == total - round((1 - scale) * total)
    # One head is left to the two blocks of the first stage, so that one of them has lost its attention.
    heads = [family.student.kept[f'stages.0.blocks.{i}.head'] for i in range(2)]
    assert sorted(heads) == [0, 1]


def test_blocks_are_dropped_from_every_stage_alike_and_the_student_works():
    # Half of two blocks in each stage: of the first the second one, of the second the first one, by their scores.
    backbone = drawn_at_random(MaskedSwin(**TOY))
    backbone.eval()
    groups = backbone.unit_groups()
    scores = {group.name: [weight] * group.count for group, weight in zip(
        groups, [1., 1., 2., 2., 2., 2., 1., 1.], strict=True)}
    student = make_family(groups, Importance(scores, 1, 'sample'), backbone.cost, (0.6, 0.9), prune=('block',)).student
    assert {name for name, count in student.kept.items() if count} == {
        f'{block}.{kind}' for block in ('stages.0.blocks.1', 'stages.1.blocks.0') for kind in ('head', 'neuron')}
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    backbone.activate(student.kept)
    with torch.no_grad():
        expected = backbone(images)[0]
        backbone.cut(student.kept)
        assert_close(backbone(images)[0], expected)


def test_a_tenth_of_the_units_leaves_blocks_without_heads_and_the_student_works():
    # 2, 4 and 2 blocks of 3, 6 and 12 heads; a tenth is 6 - round(5.4) = 1, 24 - round(21.6) = 2, 24 - round(21.6) = 2.
    network = ImageClassifier(
        backbone=dict(type='mmamd.MaskedSwin', img_size=16, patch_size=2, window_size=2, out_indices=(2,),
                      arch=dict(embed_dims=12, depths=[2, 4, 2], num_heads=[3, 6, 12])),
        neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=5, in_channels=48)).eval()
    drawn_at_random(network)
    groups = network.backbone.unit_groups()
    generator = torch.Generator().manual_seed(0)
    scores = {g.name: torch.rand(g.count, generator=generator, dtype=torch.float64).tolist() for g in groups}
    family = make_family(groups, Importance(scores, 1, 'sample'), cost_function(network), [0.1, 0.5], scale_by='units')
    student = family.student
    heads = {g.name: student.kept[g.name] for g in groups if g.kind == 'head'}
    assert [sum(kept for name, kept in heads.items() if f'stages.{i}.' in name) for i in range(3)] == [1, 2, 2]
    # One head for the two blocks of the first stage, two for the four of the second.
    assert list(heads.values()).count(0) >= 1 + 2

    network.backbone.reorder(family.order)
    images = torch.randn(2, 3, 16, 16, generator=generator)
    with torch.no_grad(), network.backbone.gates(2) as gates:
        for name, gate in gates.items():
            gate[:, student.kept[name]:] = 0
        expected = network(images, mode='tensor')
    network.backbone.activate(student.kept)
    logits = network(images, mode='tensor')
    assert_close(logits, expected)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    small = cut_network(network, student)
    with torch.no_grad():
        assert_close(small(images, mode='tensor'), expected)
    assert network_cost(small) == student.cost
    gone = [name.removesuffix('.head') for name, kept in heads.items() if not kept]
    assert all(isinstance(small.backbone.get_submodule(f'{name}.attn'), MapBiasBranch) for name in gone)


# --- what is refused ---

@pytest.mark.parametrize('options, message', [
    (dict(window_size=5), r'stages.1: a window of 5 x 5 tokens does not fit the map of 4 x 4; set window_size to at '
                          r'most 4, pad_small_map=True, or use larger images'),
    (dict(img_size=(16, 4)), r'stages.0: a window of 4 x 4 tokens does not fit the map of 8 x 2; set window_size to '
                             r'at most 2'),
    (dict(pretrained_window_sizes=[0, 0]), 'pretrained_window_sizes, an argument of Swin V2, which is not supported'),
    (dict(stage_cfgs=dict(block_cfgs=dict(attn_cfgs=dict(window_msa=WindowMSAV2)))),
     'stages.0: WindowMSAV2 cannot be pruned by heads; expected the WindowMSA of the first Swin'),
    (dict(with_cp=True), 'stages.0.blocks.0: with_cp=True is not supported, .*; set with_cp=False'),
    (dict(arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 3])),
     'stages.1: 3 heads do not divide the embedding width 16; change num_heads or embed_dims'),
    (dict(stage_cfgs=dict(block_cfgs=dict(ffn_cfgs=dict(num_fcs=3)))), 'FFN cannot be pruned by neurons'),
    (dict(heads=[1, 2, 3]), r'heads must give one count for each of the 4 blocks, got 3: \[1, 2, 3\]'),
    (dict(heads=[2, 3, 4, 4]), '^stages.0.blocks.1.head: cannot keep 3 of 2 heads; expected 0 to 2'),
    (dict(neurons=[8, 8, -1, 16]), '^stages.1.blocks.0.neuron: cannot keep -1 of 16 neurons; expected 0 to 16'),
])
def test_a_network_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MaskedSwin(**{**TOY, **options})


def test_images_smaller_than_a_window_are_refused_by_stage():
    network = MaskedSwin(**TOY)
    with pytest.raises(ValueError, match='stages.1: a window of 4 x 4 tokens does not fit the map of 2 x 4'):
        network(torch.zeros(1, 3, 8, 16))
