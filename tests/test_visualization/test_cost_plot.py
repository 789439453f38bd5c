import pytest

from mmamd.visualization.cost_plot import cost_figure

SECONDS = {'score': 18., 'nest': 0.4, 'joint': 7200., 'student': 3600.}


def widths(axes):
    return [bar.get_width() for bar in axes.patches]


@pytest.mark.parametrize('seconds, unit, expected', [
    ({'score': 30., 'joint': 60.}, 's', [30, 60]), ({'score': 30., 'joint': 600.}, 'min', [0.5, 10]),
    (SECONDS, 'h', [0.005, 0.4 / 3600, 2, 1])])
def test_bars_are_in_the_unit_that_the_axis_names(seconds, unit, expected):
    axes, = cost_figure(seconds).axes
    assert axes.get_xlabel() == f'Wall time ({unit})'
    assert widths(axes) == pytest.approx(expected)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(seconds)
    assert axes.yaxis_inverted()  # the first stage on top


def test_planned_arithmetic_stands_beside_the_time_where_it_is_known():
    assert len(cost_figure(SECONDS, {}).axes) == 1
    axes = cost_figure(SECONDS, {'joint': 5e15, 'student': 1e15}).axes[1]
    assert axes.get_xlabel() == 'Planned arithmetic (P MACs)'
    assert widths(axes) == pytest.approx([0, 0, 5, 1])


def test_an_unfinished_stage_is_hatched_and_says_so():
    axes, = cost_figure(SECONDS, unfinished=frozenset({'student'})).axes
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, False, False, True]
    assert [text.get_text() for text in axes.texts][-2:] == ['2 h 00 min', '1 h 00 min so far']


def test_a_run_that_has_only_begun_can_be_drawn():
    axes, = cost_figure({'score': 0.}, unfinished=frozenset({'score'})).axes
    assert widths(axes) == [0]


@pytest.mark.parametrize('factor', [1e-3, 1., 300.])
def test_no_text_overlaps_another_or_leaves_the_figure(factor, check_texts):
    seconds = {name: factor * value for name, value in SECONDS.items()}
    planned = {name: 1e17 * value for name, value in seconds.items()}
    check_texts(cost_figure(seconds, planned, frozenset(seconds)), least=14)
