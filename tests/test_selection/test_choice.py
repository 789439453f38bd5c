import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_toys import SCALES, TEACHER, VALUES, example, measurements, students, with_draws

from mmamd.selection.bootstrap import interval
from mmamd.selection.choice import check_rule, choose, manual, replay, score_intervals
from mmamd.structures import Measurement, Selection

# Accuracies on 1000 images, as counts: percentages and shifts of them are exact to rounding.
counts = st.lists(st.integers(0, 1000), min_size=9, max_size=9)


# --- the choice ---

def test_npsd_picks_scale_07_and_the_tradeoff_scale_03_of_the_worked_example():
    assert example('npsd').winner.scale == 0.7
    assert example('lambda_tradeoff').chosen == '0.30'


def test_local_derivative_of_a_concave_curve_picks_the_largest_neighbourhood_of_smallest_loss():
    # Steps up: .05 .025 .015 .008 .004 .003 .002 .002 .0043; 0.7 and 0.8 tie at -.02 and the smaller one wins.
    assert example('npsd_local').winner.scale == 0.7


@pytest.mark.parametrize('scale, expected', [('smallest', 0.2), ('largest', 0.9), (0.4, 0.4), (0.1 + 0.2, 0.3)])
def test_manual_names_the_choice(scale, expected):
    assert example('manual', scale=scale).winner.scale == expected


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(0, 1000), st.sampled_from([0.1, 0.3, 0.6]))
def test_choice_is_the_eligible_candidate_of_the_largest_secant(values, teacher, student_scale):
    values, teacher = [v / 1000 for v in values], teacher / 1000
    chosen = choose(measurements(values), Measurement(1.0, teacher, []), student_scale).winner.scale
    secants = {s: -(teacher - v) / (1 - s) for s, v in zip(SCALES, values, strict=True) if s > student_scale}
    assert chosen in secants
    assert secants[chosen] == pytest.approx(max(secants.values()), abs=1e-9)
    # Ties go to the smaller scale: every smaller candidate is worse.
    assert all(secant < secants[chosen] for s, secant in secants.items() if s < chosen)


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(0, 1000), st.integers(-500, 500))
def test_npsd_ignores_a_constant_added_to_all_performances_and_the_unit(values, teacher, shift):
    def choice(unit, offset):
        return choose(measurements([(v + offset) / unit for v in values]),
                      Measurement(1.0, (teacher + offset) / unit, []), 0.1).winner.scale
    assert choice(1000, 0) == choice(1000, shift) == choice(10, 0)  # fractions, shifted fractions, percentages


@given(st.integers(0, 1000), st.integers(0, 300))
def test_ties_go_to_the_smaller_scale(teacher, slope):
    # On a straight line through the teacher every secant is the same.
    values = [teacher / 1000 - slope / 1000 * (1 - s) for s in SCALES]
    assert choose(measurements(values), Measurement(1.0, teacher / 1000, []), 0.1).winner.scale == 0.2


@settings(max_examples=30, deadline=None)
@given(counts, st.sampled_from([math.exp, math.sqrt, lambda p: p**3]))
def test_monotone_transformations_of_the_performance_are_accepted(values, transform):
    values = [transform(v / 1000) for v in values]
    assert choose(measurements(values), Measurement(1.0, transform(0.9), []), 0.1).winner.scale in SCALES[1:]


def test_only_scales_strictly_between_student_and_reference_are_scored():
    reference = Measurement(0.7, 0.885, [])  # a second assistant: the first one is its teacher
    scores = choose(measurements(VALUES), reference, 0.3).scores
    for rule in ('npsd', 'npsd_local', 'lambda_tradeoff'):
        assert [s for s, score in zip(SCALES, scores[rule], strict=True) if score is not None] == [0.4, 0.5, 0.6]
    assert scores['npsd_local'][5] == pytest.approx(-(0.885 - 0.882) / 0.1)  # the last one's neighbour: the reference


def test_a_student_whose_scale_differs_by_rounding_is_not_its_own_assistant():
    assert choose(measurements([0.8, 0.85], [0.1 + 0.2, 0.6]), TEACHER, 0.3).winner.scale == 0.6


def test_every_rule_is_tabulated_whichever_chose():
    table = example().scores
    assert set(table) == {'npsd', 'npsd_local', 'lambda_tradeoff'}
    for rule in ('npsd_local', 'lambda_tradeoff'):
        assert example(rule).scores == table
    assert example('manual', scale=0.4).scores == table
    # The performance stands in a column of its own already, so it is a score only where it chooses.
    assert example('best').scores == {**table, 'best': [None, *VALUES[1:]]}


def test_the_tradeoff_is_left_out_of_a_table_of_percentages_and_refused_as_the_rule():
    percent, teacher = measurements([100 * v for v in VALUES]), Measurement(1.0, 89.33, [])
    assert set(choose(percent, teacher, 0.1).scores) == {'npsd', 'npsd_local'}
    with pytest.raises(ValueError, match=r'fractions in \[0, 1\], got 83.0'):
        choose(percent, teacher, 0.1, 'lambda_tradeoff')


def test_replaying_the_saved_table_equals_selecting_by_that_rule(tmp_path):
    example().save(tmp_path / 'selection.json')
    saved = Selection.load(tmp_path / 'selection.json')
    assert saved == example()
    assert replay(saved, 'lambda_tradeoff') == example('lambda_tradeoff')
    assert replay(saved, 'manual', scale='largest') == example('manual', scale='largest')
    assert replay(saved, 'best') == example('best')
    # lam = 0: the best performance wins, whatever its scale.
    assert replay(saved, 'lambda_tradeoff', lam=0.0).winner.scale == 0.9


# --- networks of one scale ---

def test_best_chooses_the_best_of_named_networks_and_ties_go_to_the_first():
    networks, teacher = students()
    selection = choose(networks, teacher, None, 'best')
    assert (selection.chosen, selection.winner) == ('student_b', networks[1])
    assert selection.scores == {'best': [0.61, 0.64, 0.63]}  # no rule that compares scales is tabulated
    assert not selection.has_scales
    networks, teacher = students([0.61, 0.64, 0.64])
    assert choose(networks, teacher, None, 'best').chosen == 'student_b'


def test_rivals_within_noise_are_called_by_their_names_and_no_grid_is_spoken_of():
    networks, teacher = students([0.64, 0.61, 0.63])
    assert choose(networks, teacher, None, 'best').warnings == []  # the first, and all share the noise
    # On one resample the chosen network falls and the others rise by .05, on the other one the reverse.
    noisy = [Measurement(m.scale, m.value, [m.value + shift, m.value - shift], m.name)
             for m, shift in zip(networks, (-0.05, 0.05, 0.05), strict=True)]
    warning, = choose(noisy, Measurement(1.0, 0.8, [0.8, 0.8]), None, 'best').warnings
    assert warning.startswith('the choice student_a is within noise of student_b, student_c: the 95% interval of the '
                              'difference in best contains 0')


def test_a_selection_among_named_networks_is_read_as_it_was_saved(tmp_path):
    selection = choose(*students(), None, 'best')
    selection.save(tmp_path / 'selection.json')
    assert Selection.load(tmp_path / 'selection.json') == selection == replay(selection, 'best')


@pytest.mark.parametrize('rule, scale', [('npsd', None), ('npsd_local', None), ('lambda_tradeoff', None),
                                         ('manual', 0.25), ('manual', 'smallest')])
def test_what_goes_by_scale_is_refused_for_networks_of_one_scale_and_best_is_offered(rule, scale):
    with pytest.raises(ValueError, match=f"rule='{rule}' tells networks apart by their scales, but those of student_a, "
                                         "student_b, student_c are not distinct .* choose by rule='best'"):
        choose(*students(), None, rule, scale=scale)


def test_a_network_as_large_as_the_reference_has_no_derivative_to_it():
    twin = Measurement(1.0, 0.9, [], 'twin')
    with pytest.raises(ValueError, match="0.50, twin are not distinct or not below the reference's, 1.0; choose by"):
        choose([*measurements([0.8], [0.5]), twin], TEACHER, None)
    selection = choose([*measurements([0.8], [0.5]), twin], TEACHER, None, 'best')
    assert (selection.chosen, set(selection.scores)) == ('twin', {'best'})


def test_without_a_bound_the_smallest_candidate_can_be_chosen():
    selection = choose(measurements([0.88, 0.80], [0.2, 0.6]), TEACHER, None)
    assert selection.chosen == '0.20' and selection.above is None


# --- bad input ---

@pytest.mark.parametrize('kwargs, match', [
    (dict(rule='worst'),
     "unknown rule 'worst'; expected one of npsd, npsd_local, lambda_tradeoff, best, npsd_cost, manual"),
    (dict(rule='manual', scale='middle'), "'smallest' or 'largest'; got scale='middle'"),
    (dict(rule='manual'), "needs the scale of a candidate, .* got scale=None"),
    (dict(rule='npsd', scale=0.3), "scale=0.3 is read by rule='manual' alone, got rule='npsd'"),
    (dict(rule='npsd', lam=-1.0), 'lam must be a finite number >= 0, got -1.0'),
    (dict(rule='npsd', lam=math.nan), 'lam must be a finite number >= 0, got nan')])
def test_wrong_options_are_refused_before_training_and_by_the_selection(kwargs, match):
    with pytest.raises(ValueError, match=match):
        check_rule(**kwargs)
    with pytest.raises(ValueError, match=match):
        example(**kwargs)


@pytest.mark.parametrize('scale', [0.35, 0.1])  # no candidate; the student
def test_a_manual_scale_that_is_no_eligible_candidate_is_refused_with_the_list(scale):
    check_rule('manual', scale)  # cannot be known before the candidates are
    with pytest.raises(ValueError, match=f'got scale={scale}; .* eligible scales 0.20, 0.30, .* 0.90'):
        example('manual', scale=scale)


def test_no_candidate_above_the_student_is_an_error_that_lists_the_candidates():
    with pytest.raises(ValueError, match=r'between the student \(0.9\) and the reference \(1.0\); .* 0.10, 0.20'):
        choose(measurements(VALUES), TEACHER, 0.9)
    with pytest.raises(ValueError, match='candidates are none'):
        choose([], TEACHER, 0.1)


@pytest.mark.parametrize('scales', [[0.3, 0.2], [0.2, 0.2], [0.3, 0.1 + 0.2]])
def test_measurements_must_ascend_without_duplicates(scales):
    with pytest.raises(ValueError, match='must ascend strictly by scale, or have names, got'):
        choose(measurements([0.8, 0.85], scales), TEACHER, 0.1)


def test_a_name_is_given_once():
    networks, teacher = students()
    with pytest.raises(ValueError, match='or have names, got student_a, student_b, student_c, student_b; .* each '
                                         'network once'):
        choose([*networks, networks[1]], teacher, None, 'best')


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_performances_that_are_not_finite_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=f'of 0.50 has a number that is not finite .value {bad}'):
        choose(measurements([0.8, bad], [0.2, 0.5]), TEACHER, 0.1)
    with pytest.raises(ValueError, match='of 1.00 has a number that is not finite'):
        choose(measurements(VALUES), Measurement(1.0, bad, []), 0.1)
    with pytest.raises(ValueError, match='of 0.20 has a number that is not finite'):
        choose([Measurement(0.2, 0.8, [0.8, bad])], Measurement(1.0, 0.9, [0.9, 0.9]), 0.1)


@pytest.mark.parametrize('draws, reference_draws, named', [
    ([0.8, 0.8], [0.9] * 3, r'\[2, 3\]'), ([], [0.9] * 3, r'\[0, 3\]'), ([0.8], [0.9], r'\[1\]')])
def test_bootstrap_draws_that_cannot_be_paired_are_refused(draws, reference_draws, named):
    with pytest.raises(ValueError, match=f'need the same number of them, none or at least two; got {named}'):
        choose([Measurement(0.2, 0.8, draws)], Measurement(1.0, 0.9, reference_draws), 0.1)


def test_manual_choice_needs_an_eligible_scale():
    assert manual([0.2, 0.5], 'largest') == 0.5
    with pytest.raises(ValueError, match='one of the eligible scales 0.20, 0.50'):
        manual([0.2, 0.5], 0.7)


# --- warnings ---

def test_rivals_within_noise_are_named():
    table, teacher = with_draws(VALUES, noise=0.002, shared=False)
    warning = next(w for w in choose(table, teacher, 0.1).warnings if 'within noise' in w)
    # The secants of 0.6 and 0.8 lie .0006 and .0038 below that of 0.7 and scatter by about .005 and more; 0.3 is
    # .027 below, some nine times its scatter.
    assert warning.startswith('the choice 0.70 is within noise of ') and '95%' in warning and '400 draws' in warning
    rivals = warning.split(' of ')[1].split(':')[0].split(', ')
    assert {'0.60', '0.80'} <= set(rivals) and not {'0.10', '0.20', '0.30', '0.70'} & set(rivals)


@pytest.mark.parametrize('rule', ['npsd', 'lambda_tradeoff'])
def test_noise_that_all_networks_share_does_not_blur_the_choice(rule):
    # Hard and easy resamples shift every network alike: the intervals of the values overlap, the paired ones do not.
    table, teacher = with_draws(VALUES, noise=0.02, shared=True)
    (low_06, high_06), (low_07, _) = (interval(table[i].resampled) for i in (5, 6))
    assert low_06 < low_07 < high_06
    assert choose(table, teacher, 0.1, rule).warnings == []


def test_without_draws_the_table_says_that_the_noise_is_unknown():
    assert example().warnings == ['there are no bootstrap draws, so it is unknown whether the choice is within noise '
                                  'of another']


@pytest.mark.parametrize('values, text', [
    ([0.83, 0.79, 0.86], '0.25 is the smallest eligible candidate'),  # secants to .9: -.0933, -.22, -.16
    ([0.50, 0.70, 0.88], '0.75 is the largest eligible candidate')])  # -.5333, -.4, -.08
def test_a_choice_on_the_edge_of_the_grid_is_told(values, text):
    table, teacher = with_draws(values, 1e-6, True, scales=[0.25, 0.5, 0.75], teacher=0.9)
    (warning,) = choose(table, teacher, 0.1).warnings
    assert text in warning


def test_a_choice_within_the_grid_and_a_choice_by_hand_get_no_edge_warning():
    table, teacher = with_draws(VALUES, 1e-6, True)
    assert choose(table, teacher, 0.1).warnings == []
    assert choose(table, teacher, 0.1, 'manual', scale='smallest').warnings == []


def test_a_single_eligible_candidate_is_told():
    assert '0.50 is the only eligible candidate' in choose(measurements([0.8], [0.5]), TEACHER, 0.1).warnings[0]


def test_a_candidate_better_than_the_teacher_is_explained():
    table, teacher = with_draws([0.80, 0.92, 0.91], 1e-6, True, scales=[0.25, 0.5, 0.75], teacher=0.9)
    warning = next(w for w in choose(table, teacher, 0.1).warnings if 'positive' in w)
    assert warning.startswith('0.50, 0.75 did better than the reference')
    assert 'undertrained' in warning and 'near the teacher' in warning
    assert warning.endswith('Within noise of the reference: none of them')


def test_a_gain_over_the_teacher_within_noise_is_called_so():
    table, teacher = with_draws([0.80, 0.95, 0.901], 0.01, False, scales=[0.25, 0.5, 0.75], teacher=0.9)
    warning = next(w for w in choose(table, teacher, 0.1).warnings if 'positive' in w)
    assert warning.endswith('Within noise of the reference: 0.75')


# --- intervals of the scores ---

def test_intervals_of_the_scores_are_those_of_the_recomputed_draws():
    table = [Measurement(0.2, 0.60, [0.60, 0.62]), Measurement(0.5, 0.80, [0.80, 0.76])]
    selection = choose(table, Measurement(1.0, 0.90, [0.90, 0.86]), 0.2, lam=0.4)
    intervals = score_intervals(selection)
    # Draws of 0.5: npsd -(.9 - .8) / .5 = -.2 and -(.86 - .76) / .5 = -.2; trade-off .8 + .4 * .5 = 1.0 and .96.
    assert intervals['npsd'][0] is None and intervals['lambda_tradeoff'][0] is None  # the student is not eligible
    assert intervals['npsd'][1] == pytest.approx((-0.2, -0.2))
    assert intervals['lambda_tradeoff'][1] == pytest.approx((0.96 + 0.025 * 0.04, 1.0 - 0.025 * 0.04))
    assert intervals['npsd_local'] == intervals['npsd']  # the only eligible candidate's neighbour is the reference


def test_noise_of_npsd_grows_towards_the_teacher():
    table, teacher = with_draws(VALUES, noise=0.002, shared=False)
    widths = [high - low for low, high in score_intervals(choose(table, teacher, 0.1))['npsd'][1:]]
    assert widths[-1] > 4 * widths[0]  # divided by 0.1 instead of by 0.8


def test_without_draws_there_are_no_intervals():
    assert score_intervals(example()) == {rule: [None] * 9 for rule in ('npsd', 'npsd_local', 'lambda_tradeoff')}


# --- the cheapest of what the rule cannot tell apart ---

def test_without_draws_npsd_cost_chooses_as_npsd():
    assert example('npsd_cost').chosen == example('npsd').chosen


def test_npsd_cost_takes_the_smallest_whose_interval_overlaps_the_best_one():
    named, teacher = with_draws(VALUES, 0.004, shared=False)
    selection = choose(named, teacher, 0.1, 'npsd_cost')
    intervals = dict(zip(SCALES, score_intervals(selection)['npsd'], strict=True))
    best = choose(named, teacher, 0.1, 'npsd').winner.scale
    overlapping = [scale for scale in SCALES[1:] if intervals[scale][1] >= intervals[best][0]]
    assert selection.winner.scale == min(overlapping) < best
    assert (selection.rule, selection.shown_rule) == ('npsd_cost', 'npsd')
    assert set(selection.scores) == {'npsd', 'npsd_local', 'lambda_tradeoff'}


def test_npsd_cost_is_npsd_where_all_can_be_told_apart():
    named, teacher = with_draws(VALUES, 1e-5, shared=False)
    assert choose(named, teacher, 0.1, 'npsd_cost').chosen == choose(named, teacher, 0.1, 'npsd').chosen


def test_a_table_can_be_replayed_by_npsd_cost():
    named, teacher = with_draws(VALUES, 0.004, shared=False)
    assert replay(choose(named, teacher, 0.1), 'npsd_cost') == choose(named, teacher, 0.1, 'npsd_cost')
