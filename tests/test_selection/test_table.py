import pytest
from selection_toys import SCALES, VALUES, example, students, with_draws

from mmamd.selection.bootstrap import standard_error
from mmamd.selection.choice import choose, score_intervals
from mmamd.selection.table import Row, format_table, rows_of
from mmamd.structures import Cost, Measurement

COSTS = {f'{s:.2f}': Cost(round(s * 10**9), round(s * 10**6)) for s in SCALES}


def test_a_row_holds_what_is_known_of_a_network():
    table, teacher = with_draws(VALUES, noise=0.002, shared=False)
    selection = choose(table, teacher, 0.1)
    student, *_, chosen, _, _ = rows_of(selection, COSTS, {'0.70': 0.86})
    assert chosen == Row('0.70', 0.7, 700_000_000, 700_000, 0.885, standard_error(table[6].resampled),
                         {rule: scores[6] for rule, scores in selection.scores.items()}, 0.86, True, True)
    assert student == Row('0.10', 0.1, 100_000_000, 100_000, 0.78, standard_error(table[0].resampled), {}, None, False,
                          False)


def test_a_row_without_costs_draws_and_test_images_says_so():
    row = rows_of(example(), {'0.20': None})[1]
    assert (row.macs, row.params, row.stderr, row.test_value) == (None,) * 4


def test_table_shows_every_network_aligned_with_the_choice_marked():
    table, teacher = with_draws(VALUES, noise=0.002, shared=False)
    selection = choose(table, teacher, 0.1)
    title, header, *rows = format_table(selection, COSTS, Cost(10**9, 10**6)).splitlines()
    rows, warnings = rows[:10], rows[10:]
    assert title.startswith('chosen: 0.70, by the rule npsd') and '400 bootstrap draws' in title
    assert header.split() == ['scale', 'percent', 'npsd', 'npsd_local', 'lambda_tradeoff', 'MACs', 'params', 'role']
    assert [row.split()[0] for row in rows] == [f'{s:.2f}' for s in (*SCALES, 1.0)]
    low, high = score_intervals(selection)['npsd'][6]
    assert f'88.50 +- {100 * standard_error(table[6].resampled):.2f}  -0.0277 [{low:+.4f}, {high:+.4f}]' in rows[6]
    assert '700.000 M  700.000 k' in rows[6]
    assert [row for row in rows if row.endswith('<- chosen')] == [rows[6]]
    assert rows[0].endswith('not eligible') and rows[-1].endswith('1.000 G    1.000 M  reference')
    assert {row.index(' M  ' if i < 9 else ' G  ') for i, row in enumerate(rows)} == {rows[0].index(' M  ')}
    assert warnings == [f'warning: {text}' for text in selection.warnings] != []


def test_table_without_draws_or_costs_leaves_those_columns_out():
    text = format_table(example('lambda_tradeoff'))
    assert '+-' not in text and '[' not in text and 'MACs' not in text
    assert '0.30    85.50  -0.0547     -0.1500          +0.9950  <- chosen' in text


def test_a_cost_that_nobody_has_counted_is_a_dash():
    *_, candidate, reference, _ = format_table(example(), {**COSTS, '0.90': None}).splitlines()
    assert candidate.split()[-2:] == reference.split()[-3:-1] == ['-', '-']


def test_networks_of_one_scale_are_called_by_their_names():
    title, header, *rows = format_table(choose(*students(), None, 'best')).splitlines()
    assert title.startswith('chosen: student_b, by the rule best')
    assert header.split() == ['network', 'percent', 'best', 'role']
    assert [row.split()[0] for row in rows] == ['student_a', 'student_b', 'student_c', '1.00']
    assert [row for row in rows if row.endswith('<- chosen')] == [rows[1]]
    assert rows[1].split()[1] == '64.00' and '+0.6400 [+0.6' in rows[1]


@pytest.mark.parametrize('name, column', [(None, 'scale'), ('assistant_0.50', 'network')])
def test_a_named_network_is_a_network_also_where_scales_differ(name, column):
    measured = [Measurement(0.2, 0.7, []), Measurement(0.5, 0.8, [], name)]
    _, header, _, row, *_ = format_table(choose(measured, Measurement(1.0, 0.9, []), 0.2)).splitlines()
    assert header.split()[0] == column and row.split()[0] == (name or '0.50')
