"""One function, four forms: gates at 0 and 1, slices of the shared weights, the cut-out model, its ONNX form.

Shapes: N samples, U units of a group, K classes.
"""

import copy
import math

import onnxruntime
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmamd.export import cut_network, export_onnx
from mmamd.pruning import cost_function, make_family
from mmamd.structures import Candidate, Cost, Importance

TOLERANCE = 1e-5  # of the largest absolute logit
OPTIONS = [dict(), dict(qkv_bias=False), dict(layer_scale_init_value=0.1), dict(pre_norm=True),
           dict(out_type='avg_featmap', with_cls_token=False)]


def candidate(kept):
    return Candidate(scale=0.5, kept=kept, cost=Cost(0, 0), units=0.)


def groups_of(shape):
    return {f'layers.{i}.{kind}': shape[f'{kind}s'] for i in range(shape['layers']) for kind in ('head', 'neuron')}


@st.composite
def shapes_and_counts(draw):
    """A small network and how many units each of its groups keeps, with every count from none to all."""
    shape = dict(layers=draw(st.integers(1, 3)), heads=draw(st.integers(1, 4)),
                 head_dims=draw(st.sampled_from([2, 3])), neurons=draw(st.integers(1, 9)),
                 seed=draw(st.integers(0, 99)), **draw(st.sampled_from(OPTIONS)))
    return shape, draw(st.fixed_dictionaries({name: st.integers(0, count) for name, count in groups_of(shape).items()}))


# A block without heads, a block without neurons, a network without any unit, one with all; each with another option.
SMALL = dict(layers=2, heads=3, neurons=7)
NO_HEADS = (dict(SMALL, qkv_bias=False),
            {'layers.0.head': 0, 'layers.0.neuron': 4, 'layers.1.head': 2, 'layers.1.neuron': 7})
NO_NEURONS = (dict(SMALL, pre_norm=True),
              {'layers.0.head': 3, 'layers.0.neuron': 5, 'layers.1.head': 1, 'layers.1.neuron': 0})
NO_UNITS = (dict(SMALL, layer_scale_init_value=0.1), dict.fromkeys(groups_of(SMALL), 0))
ALL_UNITS = (dict(SMALL, out_type='avg_featmap', with_cls_token=False), groups_of(SMALL))
EMPTY_BLOCKS = [NO_HEADS, NO_NEURONS, NO_UNITS, ALL_UNITS]


def over_networks_and_counts(test):
    for case in EMPTY_BLOCKS:
        test = example(case)(test)
    return settings(deadline=None, max_examples=25)(given(shapes_and_counts())(test))


def images(num, seed=1):
    return torch.randn(num, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


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


@over_networks_and_counts
def test_gates_slices_and_the_cut_model_are_one_function(make_classifier, case):
    shape, kept = case
    network = make_classifier(**shape)
    expected_NK = gated_logits(network, kept, images(3))
    assert_same_logits(sliced_logits(network, kept, images(3)), expected_NK)
    with torch.no_grad():
        assert_same_logits(cut_network(network, candidate(kept))(images(3), mode='tensor'), expected_NK)


@over_networks_and_counts
def test_every_parameter_has_a_gradient_in_every_candidate(make_classifier, case):
    shape, kept = case
    network = make_classifier(**shape)
    network.backbone.activate(kept)
    network(images(2), mode='tensor').square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
    for i, layer in enumerate(network.backbone.layers):
        neurons = kept[f'layers.{i}.neuron']
        gradient_FC = layer.ffn.layers[0][0].weight.grad
        assert gradient_FC[:neurons].any() == (neurons > 0) and not gradient_FC[neurons:].any()


@over_networks_and_counts
def test_the_cut_model_holds_the_counted_parameters_and_the_kept_units_alone(make_classifier, case):
    shape, kept = case
    network = make_classifier(**shape)
    small = cut_network(network, candidate(kept))
    cost = network.backbone.cost(kept)
    assert sum(p.numel() for p in small.backbone.parameters()) == cost.params
    assert small.backbone.cost(kept) == cost
    assert {g.name: g.count for g in small.backbone.unit_groups()} == {n: count for n, count in kept.items() if count}


@settings(deadline=None, max_examples=15)
@given(shapes_and_counts(), st.data())
def test_cutting_in_two_steps_is_cutting_at_once(make_classifier, case, data):
    shape, kept = case
    fewer = {name: data.draw(st.integers(0, count), name) for name, count in kept.items()}
    network = make_classifier(**shape)
    once = cut_network(network, candidate(fewer)).state_dict()
    twice = cut_network(cut_network(network, candidate(kept)), candidate(fewer)).state_dict()
    assert list(once) == list(twice)
    assert all(torch.equal(once[key], twice[key]) for key in once)


@pytest.mark.parametrize('shape, kept', EMPTY_BLOCKS)
def test_the_cut_model_drops_whole_paths_where_the_candidate_did(make_classifier, shape, kept):
    # The same seed draws the same paths, also those of branches of which the bias alone is left.
    network = make_classifier(**shape, drop_path_rate=0.6)
    small = cut_network(network, candidate(kept))
    network.backbone.activate(kept)
    logits = []
    for form in (network, small):
        form.train()
        torch.manual_seed(0)
        logits.append(form(images(8), mode='tensor'))
    assert_same_logits(logits[1], logits[0])
    assert not torch.allclose(logits[0], network.eval()(images(8), mode='tensor'))


def test_cutting_leaves_the_shared_network_alone(make_classifier):
    network = make_classifier(**SMALL)
    expected_NK = gated_logits(network, NO_NEURONS[1], images(2))
    before = copy.deepcopy(network.state_dict())
    network.backbone.activate(NO_NEURONS[1])
    cut_network(network, candidate(NO_HEADS[1]))(images(1), mode='tensor')
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert_same_logits(network(images(2), mode='tensor'), expected_NK)


@pytest.mark.parametrize('shape, kept', [NO_HEADS, NO_NEURONS, NO_UNITS], ids=['no heads', 'no neurons', 'no units'])
def test_the_onnx_form_is_the_same_function_at_any_batch(make_classifier, tmp_path, shape, kept):
    network = make_classifier(**shape)
    difference = export_onnx(cut_network(network, candidate(kept)), tmp_path / 'model.onnx')
    assert 0 <= difference <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx', providers=['CPUExecutionProvider'])
    for batch in (1, 2, 5):
        logits_NK, = session.run(['logits'], {'images': images(batch).numpy()})
        assert logits_NK.shape == (batch, 5)
        assert_same_logits(torch.from_numpy(logits_NK), sliced_logits(network, kept, images(batch)))


def test_a_student_of_two_blocks_has_no_layer_of_the_others_in_any_form(make_classifier, tmp_path):
    network = make_classifier(layers=4)
    groups, cost_of = network.backbone.unit_groups(), cost_function(network)
    # Blocks 0 and 2 hold the most of what their kind scores.
    importance = Importance({group.name: [weight] * group.count for group, weight in zip(
        groups, [5., 5., 1., 1., 4., 4., 1., 2.], strict=True)}, 1, 'sample')
    student = make_family(groups, importance, cost_of, (0.5, 0.75), scale_by='units', prune=('block',)).student
    assert {name for name, count in student.kept.items() if count} == {
        f'layers.{i}.{kind}' for i in (0, 2) for kind in ('head', 'neuron')}

    expected_NK = gated_logits(network, student.kept, images(3))
    assert_same_logits(sliced_logits(network, student.kept, images(3)), expected_NK)
    small = cut_network(network, student)
    with torch.no_grad():
        assert_same_logits(small(images(3), mode='tensor'), expected_NK)
    export_onnx(small, tmp_path / 'model.onnx')
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx', providers=['CPUExecutionProvider'])
    assert_same_logits(torch.from_numpy(session.run(['logits'], {'images': images(3).numpy()})[0]), expected_NK)

    # The constants that are left of a block: the biases of its two branches, 6 channels each.
    assert [sum(p.numel() for p in layer.parameters()) for layer in small.backbone.layers][1::2] == [12, 12]
    assert sum(p.numel() for p in small.parameters()) == student.cost.params


def test_an_onnx_file_of_another_function_is_refused(make_classifier, tmp_path):
    # Weights that are not numbers agree with nothing, not even with themselves.
    network = make_classifier(layers=1)
    torch.nn.init.constant_(network.head.fc.bias, math.nan)
    with pytest.raises(RuntimeError, match='model.onnx differs from the network by nan .* at most 1e-05; do not'):
        export_onnx(network, tmp_path / 'model.onnx')
