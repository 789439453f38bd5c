"""The pictures of a process."""

from dataclasses import replace

import numpy as np
import pytest
from searched_toys import PATHWAYS

from mmamd.visualization.process_plot import process_figure
from mmamd.visualization.shares_plot import shares_figure
from mmamd.visualization.style import STYLES
from mmamd.visualization.threshold_plot import kept_by, threshold_figure


@pytest.mark.parametrize('style', STYLES, ids=lambda style: style.name)
def test_every_pathway_has_a_panel_and_the_others_behind_it(style, check_texts):
    figure = process_figure(PATHWAYS, style)
    assert [axes.get_title() for axes in figure.axes] == PATHWAYS.names
    for axes, curve in zip(figure.axes, zip(*PATHWAYS.weights, strict=True), strict=True):
        *others, own = axes.lines
        assert own.get_ydata().tolist() == list(curve) and own.get_xdata().tolist() == [0., 50., 100.]
        assert len(others) == 3 and axes.get_ylim()[1] >= 1.
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ('Progress of the training (%)', 'Weight')
    check_texts(figure, least=10)


def test_ten_pathways_stand_in_two_rows(check_texts):
    names = [f't{teacher}-s{student}' for teacher in range(4) for student in range(teacher, 4)]
    figure = process_figure(replace(PATHWAYS, names=names, weights=[[0.5] * 10] * 3))
    assert len(figure.axes) == 10 and len({axes.get_position().y0 for axes in figure.axes}) == 2
    check_texts(figure, least=20)


def test_shares_add_up_to_all_where_there_is_a_weight(check_texts):
    figure = shares_figure(PATHWAYS)
    axes, = figure.axes
    tops = [polygon.get_paths()[0].vertices[:, 1].max() for polygon in axes.collections]
    # At the beginning 1 of 2, then 1.2 of 2, and all; in the middle 0.5 of 1, and all.
    assert tops == pytest.approx([50., 100., 100.])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == PATHWAYS.names[::-1], 'as they are stacked'
    check_texts(figure, least=12)


def test_a_threshold_keeps_what_is_at_least_as_large():
    thresholds, kept, cost = kept_by(PATHWAYS)
    assert thresholds.tolist() == [0., 0.2, 0.5, 0.8, 1.]
    np.testing.assert_allclose(kept * 9, [9, 5, 4, 2, 1])
    # MACs of the kept ones of 3 x 500: 1 + 1 + 3 and 1 + 1 hundreds at 0.2.
    np.testing.assert_allclose(cost * 15, [15, 7, 6, 4, 1])
    assert kept_by(replace(PATHWAYS, macs=None))[2] is None


def test_kept_shares_fall_behind_the_weights(check_texts):
    figure = threshold_figure(PATHWAYS)
    axes, = figure.axes
    for line in axes.lines:  # between two weights as much is kept as at the upper one
        assert line.get_drawstyle() == 'steps-pre' and line.get_ydata()[-1] == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['pathways', 'MACs of their transforms']
    assert axes.get_xlabel() == 'Threshold'
    check_texts(figure, least=8)
