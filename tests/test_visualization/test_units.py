import pytest

from mmamd.structures import CandidateFamily, Cost
from mmamd.visualization.units import duration_text, groups_by_kind, layer_labels, scale_of, short_amount


@pytest.mark.parametrize('scale_by, heads, text', [
    ('flops', Cost(0, 0), 'MACs'), ('params', Cost(0, 0), 'parameters'), ('units', Cost(3, 2), 'prunable units'),
    ('flops', Cost(3, 2), 'backbone MACs'), ('params', Cost(3, 2), 'backbone parameters')])
def test_a_scale_is_said_to_be_of_the_backbone_where_heads_do_not_count(scale_by, heads, text):
    assert scale_of(CandidateFamily([], Cost(9, 9), {}, scale_by, heads)) == text


@pytest.mark.parametrize('names, labels', [
    (['layers.0.head', 'layers.10.head'], ['0', '10']),
    (['stages.0.blocks.0.neuron', 'stages.2.blocks.0.neuron', 'stages.2.blocks.1.neuron'], ['0.0', '2.0', '2.1']),
    (['stem.filter', 'layer1.0.conv1.filter'], ['stem', 'layer1.0.conv1']),
    (['layers.3.head'], ['3'])])
def test_layers_are_named_by_what_tells_them_apart(names, labels):
    assert layer_labels(names) == labels


def test_groups_of_a_kind_stay_in_the_order_of_the_network():
    names = ['layers.1.head', 'layers.1.neuron', 'layers.0.head']
    assert groups_by_kind(names) == {'head': ['layers.1.head', 'layers.0.head'], 'neuron': ['layers.1.neuron']}


@pytest.mark.parametrize('seconds, text', [(0.37, '0.4 s'), (59.94, '59.9 s'), (61.6, '1 min 02 s'),
                                           (3600, '1 h 00 min'), (86399, '23 h 59 min')])
def test_durations_read_as_people_say_them(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize('amount, text', [(0, '0'), (999, '999'), (111294976, '111.3 M'), (186263, '186.3 k'),
                                          (1.2e19, '12 E')])
def test_amounts_have_four_digits(amount, text):
    assert short_amount(amount) == text
