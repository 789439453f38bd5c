"""Students of fewer blocks: ranking and families of whole blocks, on networks that can be added up by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmamd.pruning import block_scores, make_family, rank_blocks
from mmamd.structures import Cost, Importance, UnitGroup

COUNTS = {'head': 2, 'neuron': 4}
# Three blocks of 2 heads and 4 neurons.
GROUPS = [UnitGroup(f'layers.{i}.{kind}', kind, count, block=f'layers.{i}')
          for i in range(3) for kind, count in COUNTS.items()]
# Heads score 2, 6 and 2 of 10 in all; neurons 40, 20 and 40 of 100: shares of 0.6, 0.8 and 0.6.
SCORES = {'layers.0.head': [1., 1.], 'layers.0.neuron': [10.] * 4, 'layers.1.head': [2., 4.],
          'layers.1.neuron': [2., 4., 6., 8.], 'layers.2.head': [0.5, 1.5], 'layers.2.neuron': [10.] * 4}
IMPORTANCE = Importance(SCORES, 1, 'sample')


def cost_of(kept):
    """10 MACs that stay, 5 a head, 5 a neuron: a block has 30, the network 100."""
    return Cost(10 + 5 * sum(kept.values()), 20 + sum(kept.values()))


def family(scales, **options):
    return make_family(GROUPS, IMPORTANCE, cost_of, scales, prune=('block',), **options)


def blocks_of(candidate):
    """Numbers of the blocks that are whole; the others must be empty."""
    for name, count in candidate.kept.items():
        assert count in (0, COUNTS[name.rpartition('.')[2]])
    blocks = {i for i in range(3) if candidate.kept[f'layers.{i}.head']}
    assert blocks == {i for i in range(3) if candidate.kept[f'layers.{i}.neuron']}
    return blocks


def test_a_block_scores_the_sum_over_its_kinds_of_its_share():
    assert block_scores(IMPORTANCE, GROUPS) == pytest.approx({'layers.0': 0.6, 'layers.1': 0.8, 'layers.2': 0.6})


def test_blocks_are_ranked_by_their_score_and_equal_ones_by_their_place():
    ranking = rank_blocks(IMPORTANCE, GROUPS)
    assert ranking.sequence == ['layers.1', 'layers.0', 'layers.2']
    assert ranking.order['layers.2.head'] == [1, 0]  # units keep an order of their own


def test_blocks_of_several_scopes_are_merged_by_relative_rank():
    # Shares within a scope of two blocks: 0.25 and 0.75; of four: 0.4, 0.3, 0.2, 0.1.
    # Relative ranks: 1/4 and 3/4; 1/8, 3/8, 5/8, 7/8.
    groups = [UnitGroup(f'{scope}.{i}.head', 'head', 1, scope, block=f'{scope}.{i}')
              for scope, count in (('a', 2), ('b', 4)) for i in range(count)]
    scores = {group.name: [score] for group, score in zip(groups, [1., 3., 4., 3., 2., 1.], strict=True)}
    assert rank_blocks(Importance(scores, 1, 'sample'), groups).sequence == ['b.0', 'a.1', 'b.1', 'b.2', 'a.0', 'b.3']


def test_a_budget_is_spent_on_whole_blocks_the_most_important_first():
    # 0.4 and 0.69 of 100 MACs: 10 + 30 and no more, for two blocks take 70.
    assert blocks_of(family((0.4, 0.8)).student) == {1}
    made = family((0.69, 0.7))
    assert [blocks_of(c) for c in made.candidates] == [{1}, {0, 1}]
    assert [(c.cost.macs, c.units) for c in made.candidates] == [(40, 1 / 3), (70, 2 / 3)]


def test_a_share_of_the_units_is_a_share_of_the_blocks():
    # 3 - round(3 * 2 / 3) = 1 and 3 - round(1) = 2; rounding to a multiple leaves whole blocks whole.
    assert [blocks_of(c) for c in family((0.3333, 0.6667), scale_by='units', round_to=3).candidates] == [{1}, {0, 1}]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=6, max_size=6), st.sampled_from([('flops', 'macs'), ('params', 'params')]))
def test_families_of_blocks_are_nested_and_within_budget(values, measure):
    scores = {group.name: [float(value)] * group.count for group, value in zip(GROUPS, values, strict=True)}
    scale_by, field = measure
    # A block is 30 of 100 MACs beside 10 that stay, and 6 of 38 parameters beside 20.
    made = make_family(GROUPS, Importance(scores, 1, 'sample'), cost_of, (0.69, 0.9), prune=('block',),
                       scale_by=scale_by)
    assert blocks_of(made.candidates[0]) < blocks_of(made.candidates[1])
    for candidate in made.candidates:
        assert getattr(candidate.cost, field) <= candidate.scale * getattr(made.teacher_cost, field)


# --- bad input ---

def test_a_scale_below_the_smallest_block_is_an_error():
    with pytest.raises(ValueError, match='scale 0.2 leaves no block at all with .* use a larger scale'):
        family((0.2, 0.8))


def test_blocks_and_units_cannot_be_pruned_at_once():
    with pytest.raises(ValueError, match=r"got \('block', 'neuron'\); .*\('block',\) alone drops whole blocks"):
        make_family(GROUPS, IMPORTANCE, cost_of, (0.4, 0.8), prune=('block', 'neuron'))


def test_a_network_without_such_blocks_is_refused():
    groups = [UnitGroup('conv1.filter', 'filter', 2)]
    with pytest.raises(ValueError, match=r"this network has none .* prune=\('filter',\), or .*student_architecture"):
        make_family(groups, Importance({'conv1.filter': [1., 2.]}, 1, 'sample'), lambda kept: Cost(1, 1), (0.4, 0.8),
                    prune=['block'])
