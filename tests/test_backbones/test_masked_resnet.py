"""The elastic ResNet against MMPretrain's; what every elastic backbone promises is in test_elastic_contract.py.

Shapes: N samples, C channels, H x W the map.
"""

import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModule
from mmpretrain.models import ResNet

from mmamd.backbones import MaskedResNet
from mmamd.backbones.elastic_conv import ElasticConstant, ZeroMap
from mmamd.backbones.elastic_convnet import IMAGE, ElasticConvNet, Wire

TOY = dict(stem_channels=4, base_channels=4, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
# Width of the head of 1,000 classes; MACs of one image of 224 px (1.81 G and 4.09 G) and parameters (11.69 M, 25.56 M).
FULL_SIZE = {18: (512, 1_814_073_344, 11_689_512), 50: (2048, 4_089_184_256, 25_557_032)}


def drawn_at_random(backbone):
    generator = torch.Generator().manual_seed(0)
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return backbone


def pair(**options):
    host = drawn_at_random(ResNet(**{**TOY, **options}))
    ours = MaskedResNet(img_size=32, **{**TOY, **options})
    ours.load_state_dict(host.state_dict())
    return host, ours, torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def group_names(backbone):
    return [group.name.removesuffix('.filter') for group in backbone.unit_groups()]


# --- the full candidate is the host's network ---

@pytest.mark.parametrize('depth', FULL_SIZE)
def test_cost_at_full_size_is_that_of_the_literature(depth):
    width, macs, params = FULL_SIZE[depth]
    backbone = MaskedResNet(depth=depth)
    cost = backbone.cost({group.name: group.count for group in backbone.unit_groups()})
    assert (cost.macs + 1000 * width, cost.params + 1000 * (width + 1)) == (macs, params)
    assert list(backbone.state_dict()) == list(ResNet(depth=depth).state_dict())


@pytest.mark.parametrize('options', [
    dict(depth=18), dict(depth=50), dict(depth=50, deep_stem=True, avg_down=True), dict(depth=50, style='caffe'),
    dict(depth=18, dilations=(1, 2), strides=(1, 1), out_indices=(0, 1)), dict(depth=18, drop_path_rate=0.4),
    dict(depth=18, norm_eval=True)])
def test_full_candidate_trains_as_the_host_network_bit_for_bit(options):
    host, ours, images = pair(**options)
    for network in (host, ours):
        torch.manual_seed(0)  # the same seed drops the same paths
        network.train()
        sum((out ** 2).sum() for out in network(images)).backward()
    assert all(torch.equal(ours.get_parameter(name).grad, parameter.grad)
               for name, parameter in host.named_parameters())
    assert all(torch.equal(ours.get_buffer(name), buffer) for name, buffer in host.named_buffers())


def test_images_of_another_size_are_run_as_the_host_runs_them():
    host, ours, _ = pair(depth=18)
    images = torch.randn(2, 3, 40, 24)
    assert ours(images)[0].shape == (2, 8, 5, 3)
    assert torch.equal(ours(images)[0], host(images)[0])


# --- its units ---

def test_units_are_stem_stage_and_inner_filters_each_a_scope_of_its_own():
    groups = MaskedResNet(depth=50, **{**TOY, 'num_stages': 3, 'strides': (1, 2, 2), 'dilations': (1, 1, 1),
                                       'out_indices': (2,)}).unit_groups()
    inner = [(f'layer{stage}.{block}.conv{i}.filter', 4 * 2 ** (stage - 1), 0) for stage, blocks in
             ((1, 3), (2, 4), (3, 6)) for block in range(blocks) for i in (1, 2)]
    # A stage's own filters come first, those of its shortcut; the last stage, which the head reads, has none.
    expected = [('stem.filter', 4, 1), ('layer1.filter', 16, 1), *inner[:6], ('layer2.filter', 32, 1), *inner[6:]]
    assert [(g.name, g.count, g.min_count) for g in groups] == expected
    assert all(g.kind == 'filter' and g.scope == g.name for g in groups)


def test_a_first_stage_without_projection_follows_the_stem():
    assert group_names(MaskedResNet(depth=18, **TOY)) == [
        'stem', 'layer1.0.conv1', 'layer1.1.conv1', 'layer2.0.conv1', 'layer2.1.conv1']


def test_stages_that_the_head_reads_are_not_pruned():
    assert not {'stem', 'layer1', 'layer2'} & set(group_names(MaskedResNet(
        depth=18, **{**TOY, 'out_indices': (0, 1)})))


def test_the_filters_of_the_shortcut_rank_a_stage():
    backbone = MaskedResNet(depth=50, deep_stem=True, avg_down=True, **TOY)
    layers = {layer.group.removesuffix('.filter'): layer for layer in backbone.filter_layers()}
    assert list(layers) == group_names(backbone)
    assert torch.equal(layers['layer1'].weight, backbone.layer1[0].downsample[0].weight)
    assert layers['layer1'].reads == 'stem.filter'
    assert torch.equal(layers['stem'].weight, backbone.stem[2].conv.weight)
    assert layers['stem'].reads == 'stem.1.filter' and layers['stem.0'].reads is None
    assert torch.equal(layers['layer1.2.conv1'].weight, backbone.layer1[2].conv1.weight)
    assert layers['layer1.2.conv1'].reads == 'layer1.filter'
    assert layers['layer2.3.conv2'].reads == 'layer2.3.conv1.filter'
    assert layers['layer2.1.conv1'].reads is None, 'the last stage is not pruned'


def test_hidden_states_are_the_stem_and_every_block():
    _, network, images = pair(depth=18)
    states = []
    for module in network.hidden_state_modules:
        module.register_forward_hook(lambda _module, _inputs, output: states.append(output.clone()))
    network.activate({group.name: 3 for group in network.unit_groups()})
    output, = network(images)
    assert [tuple(state.shape[1:]) for state in states] == [(3, 8, 8), (3, 8, 8), (3, 8, 8), (8, 4, 4), (8, 4, 4)]
    assert torch.equal(states[-1], output)


def test_a_block_without_inner_filters_is_a_constant_of_its_last_norm():
    _, network, images = pair(depth=18)
    network.eval()
    norm = network.layer2[1].bn2
    nn.init.uniform_(norm.running_mean)
    # By hand: a batch norm of zeros in eval mode.
    constant = norm.bias - norm.weight * norm.running_mean / (norm.running_var + norm.eps).sqrt()
    full = {group.name: group.count for group in network.unit_groups()}
    network.cut(full | {'layer2.1.conv1.filter': 0})
    block = network.layer2[1]
    assert isinstance(block.conv1, ZeroMap) and isinstance(block.bn2, ElasticConstant)
    assert 'layer2.1.conv1' not in group_names(network)
    torch.testing.assert_close(block.bn2.bias, constant)
    before = network.layer2[0](network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(images))))))
    torch.testing.assert_close(network(images)[0], torch.relu(before + constant[:, None, None]))


# --- what is refused ---

@pytest.mark.parametrize('options, message', [
    (dict(with_cp=True), 'MaskedResNet does not support with_cp=True.* set with_cp=False'),
    (dict(norm_cfg=dict(type='GN', num_groups=2)),
     r"gn1 is GroupNorm.* cannot be pruned by filters; expected .*norm_cfg=dict\(type='BN'\)"),
    (dict(conv_cfg=dict(type='ConvWS')),
     'conv1 is ConvWS2d.* cannot be pruned by filters; expected a Conv2d of one group.* leave out conv_cfg'),
    (dict(norm_cfg=dict(type='BN', affine=False)),
     r"bn1 is BatchNorm2d.*affine=False.* expected .* with weight, bias .*norm_cfg=dict\(type='BN'\)"),
    (dict(norm_cfg=dict(type='BN', track_running_stats=False)), 'bn1 is BatchNorm2d.* expected .*running statistics'),
    (dict(filters=[1]), r"filters must give one count for each of the 5 unit groups \['stem.filter', .*, got 1: \[1\]"),
    (dict(filters=[0, 4, 4, 4, 4]), 'stem.filter: cannot keep 0 of 4 filters; expected 1 to 4'),
])
def test_networks_that_cannot_be_pruned_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MaskedResNet(depth=18, **TOY, **options)


class Shortcut(BaseModule):
    """Two convolutions whose outputs are added; ``grouped`` and ``width`` make one that cannot be pruned."""

    def __init__(self, width=4, groups=1):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, width, 1, groups=groups)


class ElasticShortcut(ElasticConvNet, Shortcut):
    def __init__(self, has_norm=True, **kwargs):
        super().__init__(**kwargs)
        self.has_norm = has_norm
        self.make_elastic(8, None)

    def wires(self):
        yield Wire('first', IMAGE, 'stage')
        if self.has_norm:
            yield Wire('norm', 'stage', 'stage')
        yield Wire('second', 'stage', 'stage')

    def outputs(self):
        return set()


@pytest.mark.parametrize('options, message', [
    (dict(width=6), 'second has 6 channels, but 4 are in stage.filter, .*the shortcut cannot follow. Give the first '
                    'block of the stage a projection'),
    (dict(groups=2), 'second is Conv2d.*groups=2.* cannot be pruned by filters; expected a Conv2d of one group'),
    (dict(has_norm=False), 'stage.filter has no batch norm, on which its gate acts'),
])
def test_layers_that_cannot_be_joined_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        ElasticShortcut(**options)
    assert [group.name for group in ElasticShortcut().unit_groups()] == ['stage.filter']
