"""The formulas, and what a new rule has to bring."""

import numpy as np
import pytest
from selection_toys import SCALES, TEACHER, VALUES, measurements, with_draws

from mmamd.selection.choice import check_rule, choose, replay, score_intervals
from mmamd.selection.rules import RULES, best, lambda_tradeoff, npsd, npsd_local, rule
from mmamd.selection.table import format_table
from mmamd.structures import Selection

# --- the formulas ---


def test_rules_on_the_worked_example():
    secants = [-.1259, -.0791, -.0547, -.0388, -.0306, -.02825, -.0277, -.0315, -.0430]
    tradeoffs = [.960, .990, .995, .990, .978, .962, .945, .927, .909]
    np.testing.assert_allclose(npsd(SCALES, VALUES, 1.0, 0.8933), secants, atol=5e-5)
    np.testing.assert_allclose(lambda_tradeoff(SCALES, VALUES, 1.0, 0.8933), tradeoffs, atol=1e-12)


def test_local_derivative_looks_at_the_next_larger_candidate_and_the_last_at_the_reference():
    # (.8 - .5) / .25, (.9 - .8) / .25, (.85 - .9) / .25
    np.testing.assert_allclose(npsd_local([0.25, 0.5, 0.75], [0.5, 0.8, 0.9], 1.0, 0.85), [-1.2, -0.4, 0.2])


def test_tradeoff_by_hand():
    np.testing.assert_allclose(lambda_tradeoff([0.25, 0.5], [0.6, 0.7], 1.0, 0.9, lam=0.4), [0.9, 0.9])


def test_best_is_the_performance_itself():
    np.testing.assert_array_equal(best([0.25, 0.25], [0.6, 87.0], 1.0, 0.9), [0.6, 87.0])


@pytest.mark.parametrize('name', ['npsd', 'npsd_local', 'lambda_tradeoff', 'best'])
def test_every_draw_is_scored_as_if_it_were_alone(name):
    score = RULES[name].score
    rng = np.random.default_rng(0)
    values_BI, reference_B = rng.random((5, 9)), rng.random(5)
    together = score(SCALES, values_BI, 1.0, reference_B)
    assert together.shape == (5, 9)
    for row, values, reference in zip(together, values_BI, reference_B, strict=True):
        np.testing.assert_array_equal(row, score(SCALES, values, 1.0, reference))


@pytest.mark.parametrize('values, reference, named', [([0.5, 87.0], 0.9, '87.0'), ([0.5, 0.8], 89.3, '89.3'),
                                                      ([-0.1, 0.8], 0.9, '-0.1')])
def test_tradeoff_refuses_performances_that_are_no_fractions(values, reference, named):
    with pytest.raises(ValueError, match=rf'fractions in \[0, 1\], got {named}; divide percentages by 100'):
        lambda_tradeoff([0.2, 0.5], values, 1.0, reference)


# --- a new rule ---

@pytest.fixture
def register():
    """The decorator :func:`rule`, for rules that are gone after the test."""
    before = dict(RULES)
    yield rule
    RULES.clear()
    RULES.update(before)


@pytest.fixture
def middle(register):
    """A rule that prefers the candidate nearest to half of the reference's scale, whatever its performance."""
    @register('my label', 'my unit')
    def middle(scales, values, reference_scale, reference_value):
        return 0 * values - abs(scales - reference_scale / 2)


def test_a_rule_is_known_by_its_functions_name_with_its_label_and_unit(middle):
    assert (RULES['middle'].label, RULES['middle'].unit) == ('my label', 'my unit')
    check_rule('middle')


def test_a_new_rule_is_tabulated_whichever_chooses_and_can_choose(middle, tmp_path):
    table, teacher = with_draws(VALUES, noise=0.002, shared=False)
    by_npsd = choose(table, teacher, 0.1)
    assert by_npsd.chosen == '0.70'
    # Of 0.2 to 0.9: minus the distance to a half.
    assert by_npsd.scores['middle'][0] is None
    assert by_npsd.scores['middle'][1:] == pytest.approx([-.3, -.2, -.1, 0, -.1, -.2, -.3, -.4])
    assert score_intervals(by_npsd)['middle'][4] == (0, 0)
    selection = choose(table, teacher, 0.1, 'middle')
    assert selection.chosen == '0.50' == replay(by_npsd, 'middle').chosen
    selection.save(tmp_path / 'selection.json')
    assert Selection.load(tmp_path / 'selection.json') == selection
    title, header, *_ = format_table(selection).splitlines()
    assert title.startswith('chosen: 0.50, by the rule middle') and header.split()[-2:] == ['middle', 'role']


def test_a_new_rule_may_have_the_weight_of_the_tradeoff(register):
    @register('weighed', 'performance')
    def weighed(scales, values, reference_scale, reference_value, lam=0.2):
        return values - lam * scales
    # .885 - .5 * .7 is less than .830 - .5 * .2; without weight the best performance wins.
    assert choose(measurements(VALUES), TEACHER, 0.1, 'weighed', lam=0.5).chosen == '0.20'
    assert choose(measurements(VALUES), TEACHER, 0.1, 'weighed', lam=0.0).chosen == '0.90'


def test_a_new_rule_that_needs_fractions_is_refused_percentages_without_a_check_of_its_own(register):
    @register('share', 'performance', fractions=True)
    def share(scales, values, reference_scale, reference_value):
        return values
    percent = measurements([100 * v for v in VALUES])
    assert 'share' not in choose(percent, TEACHER, 0.1).scores
    with pytest.raises(ValueError, match=r'share weighs .* needs fractions in \[0, 1\], got 83.0; divide percentages'):
        choose(percent, TEACHER, 0.1, 'share')


def test_an_unknown_rule_is_refused_with_those_there_are_and_the_nearest(middle):
    with pytest.raises(ValueError, match="unknown rule 'midle'; expected one of npsd, npsd_local, lambda_tradeoff, "
                                         'best, middle, npsd_cost, manual. Did you mean middle'):
        check_rule('midle')
