"""Normalisation and ranking on lists short enough to sort by hand."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmamd.pruning import normalise, rank
from mmamd.structures import Importance, UnitGroup

# Layers 0 and 1 of one network: 2 heads and 4 neurons each.
GROUPS = [UnitGroup('layers.0.head', 'head', 2), UnitGroup('layers.0.neuron', 'neuron', 4),
          UnitGroup('layers.1.head', 'head', 2), UnitGroup('layers.1.neuron', 'neuron', 4)]
SCORES = {'layers.0.head': [3., 4.],             # l2 norm 5:   .6 .8
          'layers.0.neuron': [1., 5., 5., 7.],   # l2 norm 10:  .1 .5 .5 .7
          'layers.1.head': [.28, .96],           # l2 norm 1:   .28 .96
          'layers.1.neuron': [8., 4., 2., 4.]}   # l2 norm 10:  .8 .4 .2 .4


def importance(scores):
    return Importance(scores, 1, 'sample')


def test_each_layer_and_kind_has_unit_l2_norm():
    assert normalise(importance({'a': [3., 4.], 'b': [0., .2]}),
                     [UnitGroup('a', 'head', 2), UnitGroup('b', 'head', 2)]) == {'a': [.6, .8], 'b': [0., 1.]}


def test_normalisation_survives_gradients_whose_square_underflows():
    assert normalise(importance({'a': [3e-200, 4e-200]}), [UnitGroup('a', 'head', 2)])['a'] == pytest.approx([.6, .8])


def test_units_of_a_group_are_ordered_by_descending_score_and_ties_by_index():
    assert rank(importance(SCORES), GROUPS).order == {
        'layers.0.head': [1, 0], 'layers.0.neuron': [3, 1, 2, 0],
        'layers.1.head': [1, 0], 'layers.1.neuron': [0, 1, 3, 2]}


def test_kinds_are_merged_by_relative_rank():
    # heads   .96 (1)  .8 (0)  .6 (0)  .28 (1)                      at 1/8 3/8 5/8 7/8
    # neurons .8 (1) .7 (0) .5 (0) .5 (0) .4 (1) .4 (1) .2 (1) .1 (0)  at 1/16 3/16 ... 15/16
    h0, n0, h1, n1 = (group.name for group in GROUPS)
    assert rank(importance(SCORES), GROUPS).sequence == [n1, h1, n0, n0, h0, n0, n1, h0, n1, n1, h1, n0]


def test_equal_relative_ranks_keep_the_order_of_prune():
    groups = [UnitGroup('h', 'head', 1), UnitGroup('n', 'neuron', 1)]
    scores = importance({'h': [1.], 'n': [1.]})
    assert rank(scores, groups, ('head', 'neuron')).sequence == ['h', 'n']
    assert rank(scores, groups, ('neuron', 'head')).sequence == ['n', 'h']


def test_equal_scores_of_layers_keep_the_order_of_the_layers():
    groups = [UnitGroup(name, 'head', 2) for name in 'ab']
    assert rank(importance({'a': [1., 1.], 'b': [2., 2.]}), groups, ('head',)).sequence == ['a', 'a', 'b', 'b']


def test_scopes_are_ranked_apart():
    # Normalised: a .6 .8, b 1 0. In one scope the order is 1 .8 .6 0; apart, each scope has its best unit at rank 1/4
    # and its worst at 3/4.
    scores = {'a': [3., 4.], 'b': [1., 0.]}
    apart = [UnitGroup(name, 'head', 2, scope=name) for name in 'ab']
    together = [UnitGroup(name, 'head', 2) for name in 'ab']
    assert rank(importance(scores), together, ('head',)).sequence == ['b', 'a', 'a', 'b']
    assert rank(importance(scores), apart, ('head',)).sequence == ['a', 'b', 'a', 'b']


def test_units_of_a_kind_that_is_not_pruned_stay_out_of_the_sequence():
    ranking = rank(importance(SCORES), GROUPS, prune=('neuron',))
    assert Counter(ranking.sequence) == {'layers.0.neuron': 4, 'layers.1.neuron': 4}
    assert ranking.order['layers.0.head'] == [1, 0]


@pytest.mark.parametrize('prune', [('head', 'filter'), (), 'head'])
def test_unknown_kind_in_prune_is_an_error(prune):
    with pytest.raises(ValueError, match=r"prune must name kinds.*\['head', 'neuron'\], got"):
        rank(importance(SCORES), GROUPS, prune)


def test_importance_of_another_architecture_is_refused():
    with pytest.raises(ValueError, match='another architecture'):
        rank(importance({'layers.0.head': [1., 2.]}), GROUPS)


positive = st.integers(1, 1000).map(float)


@settings(deadline=None)
@given(st.fixed_dictionaries({group.name: st.lists(positive, min_size=group.count, max_size=group.count)
                              for group in GROUPS}), st.integers(-30, 30))
def test_ranking_holds_every_unit_once_and_ignores_the_scale_of_a_layers_gradients(scores, exponent):
    ranking = rank(importance(scores), GROUPS)
    assert Counter(ranking.sequence) == {group.name: group.count for group in GROUPS}
    for group in GROUPS:
        assert sorted(ranking.order[group.name]) == list(range(group.count))
        ordered = [scores[group.name][i] for i in ranking.order[group.name]]
        assert ordered == sorted(ordered, reverse=True)
    # A power of two scales exactly, so even ties stay ties.
    rescaled = scores | {'layers.1.neuron': [s * 2. ** exponent for s in scores['layers.1.neuron']]}
    assert rank(importance(rescaled), GROUPS) == ranking
