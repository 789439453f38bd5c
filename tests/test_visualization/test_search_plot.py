"""The pictures of a search of distillers."""

import numpy as np
import pytest
from searched_toys import DIST, KD, SEARCHED, SP, TRIALS

from mmamd.visualization.search_plot import mean_of_the_best, search_figure
from mmamd.visualization.searched import Searched, Tried
from mmamd.visualization.style import STYLES


@pytest.mark.parametrize('style', STYLES, ids=lambda style: style.name)
def test_best_so_far_and_mean_of_the_best_of_every_method(style, check_texts):
    figure = search_figure(SEARCHED, style)
    left, right = figure.axes
    dots, best, others, chance = (line.get_ydata().tolist() for line in left.lines)
    assert (dots, best) == ([3., 2., 1.], [3., 2., 1.]) and (others, chance) == ([2., 4.], [2., 2.])
    # Of the two best: (3 + 2) / 2 and (2 + 1) / 2; by chance (2 + 4) / 2.
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in right.lines] == [
        ([2, 3], [2.5, 1.5]), ([2], [3.])]
    assert (left.get_xlabel(), right.get_title()) == ('Evaluations', 'Mean of the 2 best so far')
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['evolution', 'random']
    check_texts(figure, least=10)


def test_one_collapsed_student_does_not_squeeze_the_others():
    trials = [Tried(KD, value) for value in (*np.linspace(1, 2, 19), 1e4)]
    axes, _ = search_figure(Searched({'evolution': trials}, 8, [0], {})).axes
    assert axes.get_ylim()[1] < 3


def test_the_mean_begins_when_there_are_enough():
    assert mean_of_the_best(np.array([4., 2., 3., 1.]), 3).tolist() == [3., 2.]
    assert mean_of_the_best(np.array([4.]), 3).tolist() == []


def test_known_and_rejected_distillers_are_no_evaluations():
    assert [len(trials) for trials in SEARCHED.evaluated.values()] == [3, 2]
    assert [trial.genome for trial in SEARCHED.best(2)] == [DIST, SP]
    assert TRIALS['evolution'][2].fields['trans'] == ['mm', 'norm_C', 'no']
