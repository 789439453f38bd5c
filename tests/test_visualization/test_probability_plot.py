import numpy as np
from searched_toys import SEARCHED

from mmamd.visualization.probability_plot import probability_figure


def test_probabilities_are_drawn_over_those_of_the_beginning(check_texts):
    figure = probability_figure(SEARCHED)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ['First transform', 'Second transform', 'Third transform', 'Distance', 'Calibration']
    axes = panels['First transform']
    np.testing.assert_allclose(axes.images[0].get_array(), [[1, 1.2], [1, 1.2], [1, 0.4]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ['no', 'mm', 'sqrt'], 'exp could not be drawn'
    assert [label.get_text() for label in axes.get_xticklabels()] == ['0', '3']
    assert {axes.images[0].get_clim() for axes in panels.values()} == {(0.4, 1.2)}
    check_texts(figure, least=12)
