"""Families of candidates on linear cost models that can be added up by hand."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmamd.pruning import check_scales, make_family, rank, scale_grid
from mmamd.structures import Cost, Importance, UnitGroup

# Fixed part 10 MACs; a head costs 10, a neuron 2: 10 + 4 * 10 + 10 * 2 * 2 = 90 MACs, 9 + 40 + 20 parameters.
GROUPS = [UnitGroup('layers.0.head', 'head', 2), UnitGroup('layers.0.neuron', 'neuron', 10),
          UnitGroup('layers.1.head', 'head', 2), UnitGroup('layers.1.neuron', 'neuron', 10)]
FULL = {group.name: group.count for group in GROUPS}
# Heads by rank: 1 0 0 1. Neurons: layer 1 holds ranks 1 to 5, then layer 0 all its ten, then the rest of layer 1.
IMPORTANCE = Importance({'layers.0.head': [3., 4.], 'layers.0.neuron': [1.] * 10,
                         'layers.1.head': [.28, .96], 'layers.1.neuron': [1.] * 5 + [.1] * 5}, 1, 'sample')


def cost_of(kept):
    heads = kept['layers.0.head'] + kept['layers.1.head']
    neurons = kept['layers.0.neuron'] + kept['layers.1.neuron']
    return Cost(macs=10 + 10 * heads + 2 * neurons, params=9 + 10 * heads + neurons)


def kept_counts(h0, n0, h1, n1):
    return {'layers.0.head': h0, 'layers.0.neuron': n0, 'layers.1.head': h1, 'layers.1.neuron': n1}


def family(scales=(0.3, 0.5), **options):
    return make_family(GROUPS, IMPORTANCE, cost_of, list(scales), **options)


def test_a_scale_may_be_a_fraction_of_the_backbone_alone():
    # Of 90 MACs 10 are a head's: half of the other 80 are 2 heads and 10 neurons, a tenth holds 2 neurons.
    found = family((0.1, 0.5), unscaled=Cost(10, 9))
    small, half = found.candidates
    assert found.unscaled == Cost(10, 9), 'so that who shows a scale can say of what it is'
    assert (small.kept, small.cost) == (kept_counts(0, 0, 0, 2), Cost(14, 11))
    assert (half.kept, half.cost) == (kept_counts(1, 5, 1, 5), Cost(50, 39)), 'what is printed is of the whole network'
    with pytest.raises(ValueError, match="scale 0.1 lies below the network's fixed part: .* has 10 of 90 macs"):
        family((0.1, 0.5))


# --- scales ---

def test_nine_candidates_are_the_grid_of_ten_per_cent():
    assert scale_grid(9, 0.1) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_grid_points_up_to_the_student_are_dropped_and_the_student_comes_first():
    assert scale_grid(9, 0.75) == [0.75, 0.8, 0.9]
    assert scale_grid(1, 0.1) == [0.1, 0.5]


def test_a_grid_point_equal_to_the_student_is_the_student():
    assert scale_grid(3, 0.25) == [0.25, 0.5, 0.75]
    assert scale_grid(2, 0.333333) == [0.333333, 2 / 3]  # equal to the six decimals that a scale is named by


@pytest.mark.parametrize('student', [0, 1, 0.0, 1.0, -0.1, 1.5, math.nan, '0.1', None,
                                     1e-7, 0.9999999])  # by the six decimals of a name these are 0 and 1
def test_student_scale_outside_the_unit_interval_is_an_error(student):
    with pytest.raises(ValueError, match=r'student scale must lie in \(0, 1\), got'):
        scale_grid(9, student)


@pytest.mark.parametrize('num_candidates', [0, -1, 1.5, 9.0, '9', True, None])
def test_fewer_than_one_candidate_is_an_error(num_candidates):
    with pytest.raises(ValueError, match='num_candidates must be an integer of at least 1, got'):
        scale_grid(num_candidates, 0.1)


@pytest.mark.parametrize('student', [0.5, 0.6])
def test_no_grid_point_above_the_student_is_an_error(student):
    with pytest.raises(ValueError, match=f'largest of 1 grid points is 0.5, the student scale is {student}'):
        scale_grid(1, student)


@pytest.mark.parametrize(('scales', 'message'), [
    ([0.1, 1.0], r'must lie in \(0, 1\), got 1.0 in \[0.1, 1.0\]'),
    ([0.0, 0.5], r'must lie in \(0, 1\), got 0.0'),
    ([0.5, 0.1], 'must ascend from the student, got 0.1 after 0.5'),
    ([0.1, 0.5, 0.5], 'must be distinct, got 0.5 twice'),
    ([0.1], r'no candidate above the student: got the scales \[0.1\]'),
    ([], 'no candidate above the student'),
])
def test_bad_explicit_scales_are_named(scales, message):
    with pytest.raises(ValueError, match=message):
        check_scales(scales)
    with pytest.raises(ValueError, match=message):
        family(scales)


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0.001, 0.999))
def test_every_grid_is_a_valid_list_of_scales(num_candidates, student):
    assume(student < num_candidates / (num_candidates + 1) - 1e-5)
    scales = scale_grid(num_candidates, student)
    check_scales(scales)
    assert scales[0] == student
    assert len(scales) <= num_candidates + 1


# --- families ---

def test_a_budget_of_macs_is_spent_on_the_longest_prefix():
    # sequence (H heads at 1/8 3/8 ..., N neurons at 1/40 3/40 5/40 ...):  N N H N N N N N H N N N N N H ...
    # 0.3 * 90 = 27 MACs: 10 fixed + N N H = 24, a third neuron makes 26, a fourth 28.
    # 0.5 * 90 = 45 MACs: 10 + 7 neurons + 1 head = 34, the next unit, a head, makes 44, another neuron 46.
    # Of seven neurons, five are layer 1's and two layer 0's.
    small, large = family((0.3, 0.5)).candidates
    assert (small.kept, small.cost) == (kept_counts(0, 0, 1, 3), Cost(26, 22))
    assert (large.kept, large.cost) == (kept_counts(1, 2, 1, 5), Cost(44, 36))
    assert family().teacher_cost == Cost(90, 69)


def test_a_budget_of_parameters_is_spent_on_the_longest_prefix():
    # 0.5 * 69 = 34.5 parameters: 9 + 7 neurons + 1 head = 26; the next unit, a head, would make 36.
    assert family((0.5, 0.9), scale_by='params').student.kept == kept_counts(0, 2, 1, 5)


def test_units_keep_the_same_share_of_heads_and_neurons():
    # 0.3: 4 - round(2.8) = 1 head, 20 - round(14.0) = 6 neurons.  0.5: 2 heads, 10 neurons.
    small, large = family(scale_by='units').candidates
    assert small.kept == kept_counts(0, 1, 1, 5)
    assert large.kept == kept_counts(1, 5, 1, 5)
    assert small.units == pytest.approx((1 / 4 + 6 / 20) / 2)
    assert large.units == 0.5


def test_units_keep_the_same_share_of_every_scope():
    groups = [UnitGroup(name, 'filter', 10, scope=name) for name in 'ab']
    importance = Importance({'a': [1.] * 10, 'b': [1.] + [1e-3] * 9}, 1, 'sample')
    made = make_family(groups, importance, lambda kept: Cost(sum(kept.values()), 0), [0.2, 0.5],
                       scale_by='units', prune=('filter',))
    assert [c.kept for c in made.candidates] == [{'a': 2, 'b': 2}, {'a': 5, 'b': 5}]


def test_a_kind_that_is_not_pruned_keeps_all_its_units():
    made = family((0.6, 0.8), prune=('neuron',))
    assert all(c.kept['layers.0.head'] == c.kept['layers.1.head'] == 2 for c in made.candidates)
    # 0.6 * 90 = 54 MACs: 10 + 40 for the heads leave 2 of 20 neurons.
    assert made.student.units == 2 / 20


def test_rounding_floors_neurons_and_leaves_heads():
    # 10 + 2 heads + 4 neurons of layer 1 = 38 MACs; four neurons of layer 0 as well would make 46 > 45.
    made = family((0.5, 0.9), round_to=4)
    assert made.student.kept == kept_counts(1, 0, 1, 4)
    assert made.candidates[1].kept['layers.0.neuron'] % 4 == 0


def test_the_family_carries_the_order_of_every_group():
    assert family().order == rank(IMPORTANCE, GROUPS).order
    assert family().order['layers.0.head'] == [1, 0]


def test_a_family_survives_being_saved(tmp_path):
    family().save(tmp_path / 'family.json')
    assert type(family()).load(tmp_path / 'family.json') == family()


# --- errors ---

def test_a_scale_below_the_fixed_part_says_how_large_that_is():
    # 10 of 90 MACs = 0.1111
    with pytest.raises(ValueError, match="scale 0.1 lies below the network's fixed part.*10 of 90 macs.*0.1111"):
        family((0.1, 0.5))


def test_a_kind_that_is_kept_belongs_to_the_fixed_part():
    with pytest.raises(ValueError, match="scale 0.5 lies below the network's fixed part.*50 of 90 macs.*0.5556"):
        family((0.5, 0.9), prune=('neuron',))


@pytest.mark.parametrize(('scale', 'scale_by'), [(0.12, 'flops'), (0.01, 'units')])
def test_a_scale_that_leaves_no_unit_is_an_error(scale, scale_by):
    with pytest.raises(ValueError, match=f'scale {scale} leaves no head and no neuron at all'):
        family((scale, 0.9), scale_by=scale_by)


def test_two_scales_of_the_same_network_are_an_error():
    # 0.29 * 90 = 26.1 and 0.3 * 90 = 27 MACs: both end at 26.
    with pytest.raises(ValueError, match='scales 0.29 and 0.3 keep the same units.*fewer candidates'):
        family((0.29, 0.3))


def test_a_candidate_that_is_the_teacher_is_an_error():
    # 4 - round(0.04) heads and 20 - round(0.2) neurons: everything.
    with pytest.raises(ValueError, match=r'scales 0.99 and 1 \(the teacher\) keep the same units'):
        family((0.5, 0.99), scale_by='units')


@pytest.mark.parametrize(('options', 'message'), [
    (dict(scale_by='latency'), r"scale_by must be one of \('flops', 'params', 'units'\), got 'latency'"),
    (dict(prune=('head', 'layer')), r"prune must name kinds.*got \('head', 'layer'\)"),
    (dict(round_to=0), 'round_to must be an integer of at least 1, got 0'),
    (dict(round_to=2.5), 'round_to must be an integer of at least 1, got 2.5'),
])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        family(**options)


# --- properties over random networks ---

@st.composite
def networks(draw):
    """Groups of a random small transformer, raw scores, and a linear cost model."""
    groups, scores = [], {}
    for i in range(draw(st.integers(1, 4))):
        for kind, count in (('head', draw(st.integers(1, 6))), ('neuron', draw(st.integers(1, 20)))):
            name = f'layers.{i}.{kind}'
            groups.append(UnitGroup(name, kind, count))
            scores[name] = draw(st.lists(st.integers(1, 9).map(float), min_size=count, max_size=count))
    fixed, head, neuron = draw(st.integers(0, 30)), draw(st.integers(1, 50)), draw(st.integers(1, 9))
    unit = {'head': Cost(head, head + 1), 'neuron': Cost(neuron, neuron + 2)}

    def cost(kept):
        return sum((Cost(unit[g.kind].macs * kept[g.name], unit[g.kind].params * kept[g.name]) for g in groups),
                   Cost(fixed, fixed))

    return groups, Importance(scores, 1, 'sample'), cost


def try_family(network, scales, **options):
    try:
        return make_family(*network, scales, **options)
    except ValueError as error:
        # Tiny networks cannot always tell scales apart; every other refusal is a failure of the test.
        assert any(text in str(error) for text in ('fixed part', 'at all', 'keep the same units'))
        assume(False)


all_options = st.fixed_dictionaries(dict(
    scale_by=st.sampled_from(['flops', 'params', 'units']), round_to=st.integers(1, 4),
    prune=st.sampled_from([('head', 'neuron'), ('neuron', 'head'), ('neuron',)])))
some_scales = st.lists(st.integers(1, 19).map(lambda i: i / 20), min_size=2, max_size=5, unique=True).map(sorted)


@settings(deadline=None)
@given(networks(), some_scales, all_options)
def test_families_are_nested_and_within_budget(network, scales, options):
    made = try_family(network, scales, **options)
    for smaller, larger in zip(made.candidates, made.candidates[1:], strict=False):
        assert all(smaller.kept[name] <= larger.kept[name] for name in smaller.kept)
    field = {'flops': 'macs', 'params': 'params'}.get(options['scale_by'])
    for candidate in made.candidates:
        assert candidate.cost == network[2](candidate.kept)
        assert 0 <= candidate.units < 1
        if field:
            assert getattr(candidate.cost, field) <= candidate.scale * getattr(made.teacher_cost, field)


@settings(deadline=None)
@given(networks(), some_scales, st.sampled_from(['macs', 'params']))
def test_the_next_unit_would_exceed_the_budget(network, scales, field):
    groups, importance, cost = network
    made = try_family(network, scales, scale_by={'macs': 'flops', 'params': 'params'}[field])
    sequence = rank(importance, groups).sequence
    for candidate in made.candidates:
        next_unit = sequence[sum(candidate.kept.values())]
        with_next = candidate.kept | {next_unit: candidate.kept[next_unit] + 1}
        assert getattr(cost(with_next), field) > candidate.scale * getattr(made.teacher_cost, field)


@settings(deadline=None)
@given(networks(), some_scales)
def test_units_keep_what_the_rounded_share_leaves(network, scales):
    made = try_family(network, scales, scale_by='units')
    for kind in ('head', 'neuron'):
        names = [group.name for group in network[0] if group.kind == kind]
        total = sum(group.count for group in network[0] if group.kind == kind)
        for candidate in made.candidates:
            assert sum(candidate.kept[name] for name in names) == total - round((1 - candidate.scale) * total)


# --- what must stay ---

def test_what_must_stay_is_kept_at_every_scale_and_belongs_to_the_fixed_part():
    # Two layers of four filters, 10 MACs each; the first keeps one, for no shortcut leads past it.
    groups = [UnitGroup('a', 'filter', 4, 'a', min_count=1), UnitGroup('b', 'filter', 4, 'b')]
    importance = Importance({'a': [4., 3., 2., 1.], 'b': [4., 3., 2., 1.]}, 1, 'sample')

    def cost(kept):
        return Cost(10 * (kept['a'] + kept['b']), 0)

    def kept_at(*scales, **options):
        return [c.kept for c in make_family(groups, importance, cost, scales, prune=('filter',), **options).candidates]

    assert kept_at(0.125, 0.25, 0.5) == [dict(a=1, b=0), dict(a=1, b=1), dict(a=2, b=2)]
    # Rounded down to a multiple of three, but not below what must stay.
    assert kept_at(0.2, 0.5, round_to=3) == [dict(a=1, b=0), dict(a=3, b=0)]
    with pytest.raises(ValueError, match='what pruning never removes has 10 of 80 macs, a share of 0.1250'):
        kept_at(0.1, 0.5)
