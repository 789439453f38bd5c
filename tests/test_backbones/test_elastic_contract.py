"""What every elastic backbone promises, whatever its architecture.

Shapes: N samples, U units of a group, K classes.
"""

import copy
import random
from contextlib import contextmanager
from dataclasses import dataclass, field

import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import mmamd.backbones  # noqa: F401  registers the backbones
from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.recalibration import batch_norms, recalibrate
from mmamd.distillation.shrinking import shrink, widened
from mmamd.export import cut_network, export_candidate, export_onnx
from mmamd.pruning import cost_function, make_family, network_cost, rank, score, unit_scores
from mmamd.registry import MODELS as OUR_MODELS
from mmamd.structures import Candidate, Cost, Importance

TOLERANCE = 1e-5  # of the largest absolute logit
NUM_CLASSES = 5


@dataclass(frozen=True)
class Architecture:
    """A toy of one elastic backbone.

    Attributes:
        elastic, host: Types of our backbone and of the host's.
        arguments: Arguments of both.
        width: Channels of what the head reads.
        pooled: Whether maps are averaged before the head.
        own: Arguments of ours alone.
        of_class: Attributes of the host's class that make it small, where no argument does.
    """

    elastic: str
    host: str
    arguments: dict
    width: int
    pooled: bool = True
    own: dict = field(default_factory=dict)
    of_class: dict = field(default_factory=dict)

    def config(self, **arguments):
        """Config of a classifier over the elastic backbone."""
        return dict(
            type='ImageClassifier', backbone=dict(type=self.elastic, **self.arguments, **self.own, **arguments),
            neck=dict(type='GlobalAveragePooling') if self.pooled else None,
            head=dict(type='LinearClsHead', num_classes=NUM_CLASSES, in_channels=self.width))

    def network(self, **arguments):
        """That classifier, in eval mode, with weights far from their initial zeros and ones."""
        with self.small():
            return drawn_at_random(MODELS.build(self.config(**arguments))).eval()

    @contextmanager
    def small(self):
        """The host's class is small while the context lasts."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.of_class.items():
                patch.setattr(MODELS.get(self.host), name, value, raising=False)
            yield


VIT = dict(arch=dict(embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10), img_size=8, patch_size=4,
           drop_path_rate=0.3)
SWIN = dict(arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4]), img_size=16, patch_size=2, out_indices=(1,),
            stage_cfgs=dict(block_cfgs=dict(ffn_ratio=1.)), drop_path_rate=0.3)

RESNET = dict(stem_channels=6, base_channels=6, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,),
              drop_path_rate=0.3)
SMALL, TINY = dict(img_size=(24, 20)), dict(img_size=8)

# Of MMSegmentation. Three stages: of one head a block, reduced by 4; of two, reduced by 2; of four, not reduced.
MIT = dict(embed_dims=4, num_stages=3, num_layers=[2, 1, 1], num_heads=[1, 2, 4], patch_sizes=[7, 3, 3],
           strides=[2, 2, 1], sr_ratios=[4, 2, 1], out_indices=(0, 1, 2), mlp_ratio=2, drop_path_rate=0.3)
V1C = dict(stem_channels=8, base_channels=4, norm_cfg=dict(type='SyncBN', requires_grad=True))

# A backbone that is added here, and nowhere else, is held to all of the following.
ARCHITECTURES = {
    'ViT': Architecture('mmamd.MaskedViT', 'VisionTransformer', VIT, width=12, pooled=False),
    # 16 gated neurons.
    'ViT, SwiGLU': Architecture('mmamd.MaskedViT', 'VisionTransformer', dict(
        VIT, layer_cfgs=dict(ffn_type='swiglu_fused', feedforward_channels=24), layer_scale_init_value=0.1), width=12,
        pooled=False),
    # Maps of 8 x 8 and 4 x 4 tokens: four windows, shifted; one window, not shifted.
    'Swin': Architecture('mmamd.MaskedSwin', 'SwinTransformer', dict(SWIN, window_size=4), width=16),
    # The window divides neither map.
    'Swin with padding': Architecture('mmamd.MaskedSwin', 'SwinTransformer', dict(SWIN, window_size=3), width=16),
    # Two stages; the channels of the first are those of the stem.
    'ResNet, basic blocks': Architecture('mmamd.MaskedResNet', 'ResNet', dict(RESNET, depth=18), width=12, own=SMALL),
    # Two stages of four times the width, each with a projection.
    'ResNet, bottlenecks': Architecture('mmamd.MaskedResNet', 'ResNet', dict(RESNET, depth=50), width=48, own=SMALL),
    'ResNet V1d': Architecture('mmamd.MaskedResNet', 'ResNet', dict(
        RESNET, depth=50, stem_channels=12, deep_stem=True, avg_down=True, style='caffe'), width=48, own=SMALL),
    'ResNet for 32 px': Architecture('mmamd.MaskedResNetCIFAR', 'ResNet_CIFAR', dict(RESNET, depth=18), width=12,
                                     own=TINY),
    'ResNet-20': Architecture('mmamd.MaskedCifarResNet', 'mmamd.CifarResNet', dict(depth=20), width=64, own=TINY),
    'WRN-16-2': Architecture('mmamd.MaskedWideResNet', 'mmamd.WideResNet', dict(depth=16, widen_factor=2), width=128,
                             own=TINY),
    # Without a projection in its first stage.
    'WRN-10-1': Architecture('mmamd.MaskedWideResNet', 'mmamd.WideResNet', dict(depth=10), width=64, own=TINY),
    'ConvNeXt': Architecture('mmamd.MaskedConvNeXt', 'ConvNeXt', dict(
        arch=dict(depths=[1, 2], channels=[6, 8]), stem_patch_size=2, out_indices=(1,), drop_path_rate=0.3), width=8,
        pooled=False, own=dict(img_size=(10, 8))),
    # Four blocks: without expansion; of stride 2; with a shortcut; wider than what it reads.
    'MobileNetV2': Architecture('mmamd.MaskedMobileNetV2', 'MobileNetV2', dict(widen_factor=0.25, out_indices=(3,)),
                                width=16, own=dict(img_size=(16, 12)), of_class=dict(
                                    arch_settings=[[1, 8, 1, 1], [3, 8, 2, 2], [3, 64, 1, 1]],
                                    out_channel=property(lambda _: 16, lambda _, _1280: None))),
    'VGG-13': Architecture('mmamd.MaskedCifarVGG', 'mmamd.CifarVGG', dict(depth=13, widths=(6, 7, 8, 9, 10)), width=10,
                           own=TINY),
    'MiT': Architecture('mmamd.MaskedMiT', 'mmseg.MixVisionTransformer', MIT, width=16, own=dict(img_size=(24, 20))),
    'ResNetV1c, basic blocks': Architecture('mmamd.MaskedResNetV1c', 'mmseg.ResNetV1c', dict(
        V1C, depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,)), width=8, own=SMALL),
    # The output stride of a PSPNet: the third stage keeps its map, and spreads its kernels.
    'ResNetV1c, dilated': Architecture('mmamd.MaskedResNetV1c', 'mmseg.ResNetV1c', dict(
        V1C, depth=50, num_stages=3, strides=(1, 2, 1), dilations=(1, 1, 2), contract_dilation=True,
        out_indices=(1, 2)), width=64, own=SMALL),
}
EACH = [pytest.param(architecture, id=name, marks=[pytest.mark.seg] if architecture.host.startswith('mmseg.') else [])
        for name, architecture in ARCHITECTURES.items()]


def drawn_at_random(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    for norm in batch_norms(module):
        torch.nn.init.normal_(norm.running_mean, std=0.5, generator=generator)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2., generator=generator)
    return module


@pytest.fixture(scope='module', params=EACH)
def architecture(request):
    with request.param.small():
        yield request.param


@pytest.fixture
def network(architecture):
    return architecture.network()


def test_no_elastic_backbone_is_left_out():
    elastic = {name for name, kind in OUR_MODELS.module_dict.items()
               if isinstance(kind, type) and issubclass(kind, ElasticBackbone)}
    assert {f'mmamd.{name}' for name in elastic | OUR_MODELS.of_mmseg.keys()} == {
        architecture.elastic for architecture in ARCHITECTURES.values()}


# --- candidates: all units, none but what must stay, none of one kind, some of each group, some of which are empty ---

def all_units(groups):
    return {group.name: group.count for group in groups}


def no_units(groups):
    return {group.name: group.min_count for group in groups}


def no_units_of_first_kind(groups):
    return {group.name: group.min_count if group.kind == groups[0].kind else group.count - 1 for group in groups}


def no_units_of_last_kind(groups):
    return {group.name: group.min_count if group.kind == groups[-1].kind else group.count - 1 for group in groups}


def some_units(groups):
    draw = random.Random(0)
    kept = {group.name: draw.randint(group.min_count, group.count) for group in groups}
    kept[groups[-2].name] = groups[-2].min_count
    return kept


CANDIDATES = [all_units, no_units, no_units_of_first_kind, no_units_of_last_kind, some_units]
each_candidate = pytest.mark.parametrize('choose', CANDIDATES, ids=[choose.__name__ for choose in CANDIDATES])


def candidate(kept):
    return Candidate(scale=0.5, kept=kept, cost=Cost(0, 0), units=0.)


def images(network, num, seed=1):
    return torch.randn(num, *network.backbone.input_shape, generator=torch.Generator().manual_seed(seed))


def gated_logits(network, kept, images_N):
    with torch.no_grad(), network.backbone.gates(len(images_N)) as gates:
        for name, gate_NU in gates.items():
            gate_NU[:, kept[name]:] = 0
        return network(images_N, mode='tensor')


def sliced_logits(network, kept, images_N):
    network.backbone.activate(kept)
    try:
        with torch.no_grad():
            return network(images_N, mode='tensor')
    finally:
        network.backbone.activate(None)


def assert_same_logits(actual_NK, expected_NK):
    assert (actual_NK - expected_NK).abs().max() <= TOLERANCE * expected_NK.abs().max()


# --- the full candidate is the host's network ---

def test_full_candidate_is_the_host_network(architecture, network):
    host = MODELS.build(dict(type=architecture.host, **architecture.arguments))
    state = {key.removeprefix('backbone.'): value for key, value in network.state_dict().items()
             if key.startswith('backbone.')}
    assert [(key, value.shape) for key, value in host.state_dict().items()] == \
        [(key, value.shape) for key, value in state.items()]
    host.load_state_dict(state)
    host.eval()
    images_N = images(network, 2)
    with torch.no_grad():
        for actual, expected in zip(network.backbone(images_N), host(images_N), strict=True):
            assert (actual - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_a_teacher_from_scratch_starts_from_the_host_initial_weights(architecture):
    states = []
    for name in (architecture.host, architecture.elastic):
        torch.manual_seed(0)
        backbone = MODELS.build(dict(type=name, **architecture.arguments))
        backbone.init_weights()
        states.append(backbone.state_dict())
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())


# --- units: gates, order, nested candidates ---

def test_gates_act_on_their_own_sample_and_end_with_their_context(network):
    images_N = images(network, 2)
    counts = {group.name: group.count for group in network.backbone.unit_groups()}
    with torch.no_grad():
        full = network(images_N, mode='tensor')
        with network.backbone.gates(2) as gates:
            assert {name: tuple(gate.shape) for name, gate in gates.items()} == {
                name: (2, count) for name, count in counts.items()}
            for gate in gates.values():
                gate[1] = 0.5
            gated = network(images_N, mode='tensor')
        assert_same_logits(gated[:1], full[:1])
        assert not torch.allclose(gated[1], full[1])
        assert torch.equal(network(images_N, mode='tensor'), full)


def test_scores_are_the_central_differences_of_the_loss_by_each_gate(network):
    network.double()
    images_N = images(network, 2).double()
    data_samples = [DataSample().set_gt_label(label) for label in (0, 3)]
    scores = unit_scores(network, images_N, data_samples)

    def loss(image, data_sample, name, gate):
        with torch.no_grad(), network.backbone.gates(1) as gates:
            gates[name][0, -1] = gate
            return network(image[None], [data_sample], mode='loss')['loss']

    h = 1e-6  # so small that no ReLU changes sides
    for name, scores_U in scores.items():
        slopes = [(loss(image, data_sample, name, 1 + h) - loss(image, data_sample, name, 1 - h)) / (2 * h)
                  for image, data_sample in zip(images_N, data_samples, strict=True)]
        torch.testing.assert_close(scores_U[-1], sum(slope.abs() for slope in slopes), rtol=1e-4, atol=1e-8)


def test_reordering_units_does_not_change_the_function(network):
    images_N = images(network, 2)
    groups = network.backbone.unit_groups()
    before = sliced_logits(network, all_units(groups), images_N)
    network.backbone.reorder({group.name: random.Random(group.name).sample(range(group.count), group.count)
                              for group in groups})
    assert_same_logits(sliced_logits(network, all_units(groups), images_N), before)


def test_after_reordering_a_candidate_keeps_the_units_that_the_order_names_first(network):
    images_N = images(network, 2)
    groups = network.backbone.unit_groups()
    order = {group.name: random.Random(group.name).sample(range(group.count), group.count) for group in groups}
    kept = some_units(groups)
    with torch.no_grad(), network.backbone.gates(2) as gates:
        for name, gate_NU in gates.items():
            gate_NU[:, order[name][kept[name]:]] = 0
        expected = network(images_N, mode='tensor')
    network.backbone.reorder(order)
    assert_same_logits(sliced_logits(network, kept, images_N), expected)


def test_after_reordering_by_importance_scores_descend(network):
    batches = [dict(inputs=images(network, 3), data_samples=[DataSample().set_gt_label(i) for i in range(3)])]
    importance = score(network, batches)
    network.backbone.reorder(rank(importance, network.backbone.unit_groups(), kinds(network)).order)
    for name, scores in score(network, batches).scores.items():
        expected = sorted(importance.scores[name], reverse=True)
        assert scores == pytest.approx(expected, rel=1e-3, abs=1e-6 * expected[0])


@pytest.mark.parametrize('scale_by', ['flops', 'params', 'units'])
def test_candidates_are_nested_and_within_their_budget(network, scale_by):
    groups = network.backbone.unit_groups()
    draw = random.Random(0)
    importance = Importance({group.name: [draw.random() for _ in range(group.count)] for group in groups}, 1, 'sample')
    cost_of = cost_function(network)
    scales = [0.5, 0.7, 0.9]
    family = make_family(groups, importance, cost_of, scales, scale_by=scale_by, prune=kinds(network))
    assert family.teacher_cost == cost_of(all_units(groups))
    for smaller, larger in zip(family.candidates, family.candidates[1:], strict=False):
        assert all(smaller.kept[name] <= larger.kept[name] for name in larger.kept)
    for scale, member in zip(scales, family.candidates, strict=True):
        if scale_by == 'flops':
            assert member.cost.macs <= scale * family.teacher_cost.macs
        elif scale_by == 'params':
            assert member.cost.params <= scale * family.teacher_cost.params
        else:
            assert member.units == pytest.approx(scale, abs=0.1)


def kinds(network):
    return tuple(dict.fromkeys(group.kind for group in network.backbone.unit_groups()))


# --- one function, four forms ---

@each_candidate
def test_gates_slices_and_the_cut_model_are_one_function(network, choose):
    kept = choose(network.backbone.unit_groups())
    images_N = images(network, 3)
    expected_NK = gated_logits(network, kept, images_N)
    assert_same_logits(sliced_logits(network, kept, images_N), expected_NK)
    with torch.no_grad():
        assert_same_logits(cut_network(network, candidate(kept))(images_N, mode='tensor'), expected_NK)


def test_the_onnx_form_is_the_same_function_at_any_batch(network, tmp_path):
    kept = no_units(network.backbone.unit_groups())
    assert export_onnx(cut_network(network, candidate(kept)), tmp_path / 'model.onnx') <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx', providers=['CPUExecutionProvider'])
    for batch in (1, 2, 5):
        logits_NK, = session.run(['logits'], {'images': images(network, batch).numpy()})
        assert logits_NK.shape == (batch, NUM_CLASSES)
        assert_same_logits(torch.from_numpy(logits_NK), sliced_logits(network, kept, images(network, batch)))


def test_every_form_of_export_is_the_same_function(architecture, network, tmp_path):
    config = Config(dict(default_scope='mmpretrain', model=dict(architecture=architecture.config())))
    forms = ['pth', 'safetensors', 'onnx', 'torch-export']  # those that no architecture is too special for
    kept = some_units(network.backbone.unit_groups())
    written = export_candidate(config, network, candidate(kept), forms, tmp_path)
    assert [form.form for form in written] == forms
    assert all(form.difference <= TOLERANCE for form in written)


@each_candidate
def test_the_cut_model_is_what_its_constructor_arguments_build(architecture, network, choose):
    kept = choose(network.backbone.unit_groups())
    small = cut_network(network, candidate(kept))
    rebuilt = architecture.network(**network.backbone.cut_arguments(kept))
    assert list(rebuilt.state_dict()) == list(small.state_dict())
    rebuilt.load_state_dict(small.state_dict())
    with torch.no_grad():
        assert torch.equal(rebuilt(images(network, 2), mode='tensor'), small(images(network, 2), mode='tensor'))


@each_candidate
def test_cutting_in_two_steps_is_cutting_at_once(network, choose):
    groups = network.backbone.unit_groups()
    once = cut_network(network, candidate(choose(groups)))
    fewer = {group.name: max(group.count - 1, count)
             for group, count in zip(groups, choose(groups).values(), strict=True)}
    twice = cut_network(cut_network(network, candidate(fewer)), candidate(choose(groups)))
    assert list(once.state_dict()) == list(twice.state_dict())
    assert all(torch.equal(value, twice.state_dict()[key]) for key, value in once.state_dict().items())


# --- training ---

@each_candidate
def test_every_parameter_has_a_gradient_in_every_candidate(network, choose):
    network.backbone.activate(choose(network.backbone.unit_groups()))
    network(images(network, 2), mode='tensor').square().sum().backward()
    lacking = [name for name, parameter in network.named_parameters()
               if parameter.grad is None or not parameter.grad.isfinite().all()]
    assert lacking == []


@each_candidate
def test_a_candidate_trains_as_its_cut_model_does(network, choose):
    # The same seed drops the same paths. The weights that are not kept have no gradient, so the norms are the same.
    kept = choose(network.backbone.unit_groups())
    network.backbone.activate(kept)
    recalibrate(network, [images(network, 8)])  # what is constant in a candidate is then so in training too
    small = cut_network(network, candidate(kept))
    logits, norms = [], []
    for form in (network, small):
        form.train()
        torch.manual_seed(0)
        logits.append(form(images(network, 8), mode='tensor'))
        logits[-1].square().mean().backward()
        norms.append(torch.nn.utils.clip_grad_norm_(form.parameters(), 1e9))
    assert_same_logits(logits[1], logits[0])
    torch.testing.assert_close(norms[1], norms[0], rtol=1e-4, atol=0)


@each_candidate
def test_hidden_states_have_the_shapes_of_the_teachers_or_fewer_channels(network, choose):
    states = []
    for module in network.backbone.hidden_state_modules:
        module.register_forward_hook(lambda _module, _inputs, output: states.append(tuple(output.shape)))
    groups = network.backbone.unit_groups()
    sliced_logits(network, all_units(groups), images(network, 2))
    teachers = states.copy()
    states.clear()
    sliced_logits(network, choose(groups), images(network, 2))
    assert len(states) == len(network.backbone.hidden_state_modules) >= 2
    for state, teachers_state in zip(states, teachers, strict=True):
        # Tokens (N, L, C) as they are; maps (N, C, H, W) with at most as many channels, which are the teacher's first.
        channels = teachers_state[1] if len(teachers_state) == 3 else min(state[1], teachers_state[1])
        assert state == (teachers_state[0], channels, *teachers_state[2:])


# --- cost ---

@each_candidate
def test_a_shrunk_network_is_the_candidate_and_its_weights_go_back_to_their_places(network, choose):
    kept, whole = choose(network.backbone.unit_groups()), copy.deepcopy(network)
    expected_NK, drawn = sliced_logits(network, kept, images(network, 3)), torch.get_rng_state()
    shrink(network, kept)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert_same_logits(sliced_logits(network, kept, images(network, 3)), expected_NK)
    small, before = network.state_dict(), whole.state_dict()
    state = widened(whole, kept, small)
    assert state.keys() == before.keys() == small.keys()
    for name, value in state.items():
        assert ((value == before[name]) | (value == 0)).all(), name
        assert value.count_nonzero() == small[name].count_nonzero(), name
    whole.load_state_dict(state)
    assert_same_logits(sliced_logits(whole, kept, images(whole, 3)), expected_NK)


@each_candidate
def test_cost_is_what_the_profiler_sees_in_the_cut_model_and_what_it_holds(network, choose):
    kept = choose(network.backbone.unit_groups())
    cost = network_cost(network, kept)
    small = cut_network(network, candidate(kept)).requires_grad_(False)
    # The profiler counts two operations a MAC; plain matrix products, so that it sees those of attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as profiler:
        small(images(network, 1), mode='tensor')
    assert cost == Cost(profiler.get_total_flops() // 2, sum(p.numel() for p in small.parameters()))
    assert network_cost(small) == cost


@each_candidate
def test_the_cut_model_has_the_kept_units_alone(network, choose):
    kept = choose(network.backbone.unit_groups())
    small = cut_network(network, candidate(kept))
    units = {group.name: group.count for group in small.backbone.unit_groups()}
    assert units.items() <= kept.items() and 0 not in units.values()
    # A residual branch that lost all filters of one layer is a constant, also if its other layers keep some.
    empty_blocks = {block_of(name) for name, count in kept.items() if not count}
    assert all(name in units or block_of(name) in empty_blocks for name in kept)


def block_of(name):
    return name.rsplit('.', 2)[0]


# --- what is refused ---

def test_counts_that_the_network_cannot_keep_are_refused_by_name(network):
    for group in network.backbone.unit_groups():
        for count in (group.min_count - 1, group.count + 1):
            kept = all_units(network.backbone.unit_groups()) | {group.name: count}
            message = (f'^{group.name}: cannot keep {count} of {group.count} {group.kind}s; '
                       f'expected {group.min_count} to {group.count}')
            with pytest.raises(ValueError, match=message):
                network.backbone.activate(kept)
            with pytest.raises(ValueError, match=message):
                network.backbone.cut(kept)
    assert network.backbone.unit_groups(), 'a refused cut removes nothing'


def test_constructor_arguments_of_another_length_are_refused(architecture, network):
    full = network.backbone.cut_arguments(all_units(network.backbone.unit_groups()))
    for name, counts in full.items():
        with pytest.raises(ValueError, match=f'{name} must give one count for each of the {len(counts)} .*, '
                                             f'got {len(counts) - 1}'):
            architecture.network(**{**full, name: counts[:-1]})


def test_an_order_that_is_no_permutation_is_refused_and_moves_nothing(network):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first, *_, last = network.backbone.unit_groups()
    with pytest.raises(ValueError, match=f'order of {last.name} must be a permutation of its {last.count} units'):
        network.backbone.reorder({first.name: list(range(first.count))[::-1], last.name: [0] * last.count})
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
