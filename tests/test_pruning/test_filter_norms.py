"""L1 norms of filters, with and without the input channels that are removed before them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamd.pruning.filter_norms import FilterLayer, check_filters, greedy_norms, independent_norms
from mmamd.structures import UnitGroup


def kernels(norms_OI):
    """Weights (O, I, 3, 3) whose kernels have these L1 norms, with signs that cancel in a plain sum."""
    weight = torch.zeros(len(norms_OI), len(norms_OI[0]), 3, 3)
    weight[:, :, 0, 0] = torch.tensor(norms_OI) / 2
    weight[:, :, 2, 1] = -torch.tensor(norms_OI) / 2
    return weight


# The first layer's filters have the norms 5, 1, 3. The second layer's filter 0 is strong by what it reads of filter 1,
# which a student of two filters has lost.
FIRST = FilterLayer('first', kernels([[5.], [1.], [3.]]), None)
SECOND = FilterLayer('second', kernels([[1., 9., 1.], [2., 0., 2.], [3., 0., 4.]]), 'first')


def ranked(scores):
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def test_greedy_and_independent_rank_the_planted_filter_differently():
    independent = independent_norms([FIRST, SECOND])
    assert independent == {'first': [5., 1., 3.], 'second': [11., 4., 7.]}
    assert ranked(independent['second']) == [0, 2, 1]
    greedy = greedy_norms([FIRST, SECOND], kept={'first': 2, 'second': 1})
    # Without what is read of filter 1: 1 + 1, 2 + 2, 3 + 4.
    assert greedy == {'first': [5., 1., 3.], 'second': [2., 4., 7.]}
    assert ranked(greedy['second']) == [2, 1, 0]


def test_greedy_goes_on_from_what_it_removed_itself():
    # Of the second layer greedy keeps filter 2, independent would keep filter 0.
    third = FilterLayer('third', kernels([[8., 0., 1.], [0., 0., 2.]]), 'second')
    greedy = greedy_norms([FIRST, SECOND, third], kept={'first': 2, 'second': 1, 'third': 1})
    assert greedy['third'] == [1., 2.]


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_when_nothing_is_removed_both_are_the_same(norms_OI):
    layers = [FIRST, FilterLayer('second', kernels([[float(n) for n in row] for row in norms_OI]), 'first')]
    assert greedy_norms(layers, kept={'first': 3, 'second': 1}) == independent_norms(layers)
    assert independent_norms(layers)['second'] == [sum(row) for row in norms_OI]


def test_of_equal_filters_those_of_the_lower_index_remain():
    first = FilterLayer('first', kernels([[1.], [1.], [1.]]), None)
    second = FilterLayer('second', kernels([[7., 0., 0.], [0., 0., 8.]]), 'first')
    assert greedy_norms([first, second], kept={'first': 1})['second'] == [7., 0.]


def test_filters_that_read_a_layer_which_the_student_empties_are_ranked_by_all_they_read():
    assert greedy_norms([FIRST, SECOND], kept={'first': 0, 'second': 0}) == independent_norms([FIRST, SECOND])


def test_a_layer_before_the_one_it_reads_is_refused():
    with pytest.raises(ValueError, match='second reads first, which is not before it; give the layers in network'):
        greedy_norms([SECOND, FIRST], kept={'first': 2, 'second': 1})


def test_units_that_are_no_filters_are_refused():
    groups = [UnitGroup('first', 'filter', 3), UnitGroup('layers.0.head', 'head', 2), UnitGroup('b', 'head', 2)]
    with pytest.raises(ValueError, match=r"layers.0.head \(and 1 more\) has none; set .*method='taylor'"):
        check_filters([FIRST, SECOND], groups)
    check_filters([FIRST], groups[:1])
