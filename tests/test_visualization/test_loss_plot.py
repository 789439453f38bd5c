import math

import numpy as np
import pytest
from picture_toys import log_rows

from mmamd.files.training_log import Curve, read_losses
from mmamd.visualization.loss_plot import condense, loss_figure


def test_losses_are_told_apart_by_term_and_network():
    losses = read_losses([{'step': 5, '0.30.loss_ce': 1., '0.125.loss_ce': 2., 'lr': 0.1, 'loss': 9.},
                          {'step': 9, '0.30.loss_ce': 3., '0.125.loss_ce': 4., 'lr': 0.1, 'loss': 9.}])
    assert losses['loss_ce'] == {'0.125': Curve([5, 9], [2., 4.]), '0.30': Curve([5, 9], [1., 3.])}


def test_the_sum_of_a_networks_terms_stands_in_place_of_the_mean_over_networks():
    rows = [{'step': 1, '0.50.loss_ce': 1., '0.50.loss_feat': 0.25, '0.50.decode.loss_aux': 2., 'loss': 99.}]
    assert read_losses(rows)['loss'] == {'0.50': Curve([1], [3.25])}


def test_a_network_that_was_not_drawn_yet_begins_later():
    losses = read_losses([{'step': 1, '0.50.loss_ce': 1.}, {'step': 2, '0.50.loss_ce': 1., '0.90.loss_ce': 5.}])
    assert losses['loss']['0.90'] == Curve([2], [5.])


def test_a_plain_training_has_one_network_without_a_name():
    assert read_losses([{'step': 1, 'loss': 4., 'lr': 0.1}]) == {'loss': {'': Curve([1], [4.])}}


def test_a_short_curve_is_drawn_as_it_is_and_a_long_one_in_means_of_equal_pieces():
    short = Curve([1, 2, 3], [1., 2., 3.])
    assert condense(short, most=3) == short
    assert condense(Curve([1, 2, 3, 4, 5], [1., 3., 5., 7., 9.]), most=3) == Curve([2, 4, 5], [2., 6., 9.])
    long = condense(Curve(list(range(10_000)), [1.] * 10_000), most=100)
    assert len(long.steps) == 100 and set(long.values) == {1.}


def test_several_networks_have_a_panel_a_term_and_a_line_each():
    figure = loss_figure(read_losses(log_rows([10, 20, 30])))
    assert [axes.get_title() for axes in figure.axes] == ['sum of the terms', 'ce', 'feat']
    # The terms add up to 1 / scale / step.
    np.testing.assert_allclose([line.get_ydata() for line in figure.axes[0].lines],
                               [[1 / scale / step for step in (10, 20, 30)] for scale in (0.25, 0.5, 0.75)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['0.25', '0.50', '0.75']


def test_one_network_has_one_panel_with_a_line_a_term():
    figure = loss_figure(read_losses(log_rows([10, 20], ['0.25'])))
    axes, = figure.axes
    assert len(axes.lines) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['sum of the terms', 'ce', 'feat']


@pytest.mark.parametrize('logged, title', [('loss_my_term', 'my_term'), ('loss_at.loss_2', 'at.loss_2')])
def test_a_term_is_called_as_the_config_calls_it(logged, title):
    losses = read_losses([{'step': 1, f'{scale}.{logged}': 1., 'loss': 9.} for scale in ('0.30', '0.50')])
    assert [axes.get_title() for axes in loss_figure(losses).axes] == ['sum of the terms', title]


def test_more_terms_than_looks_are_drawn_all():
    losses = read_losses([{'step': 1, **{f'0.30.loss_{name}': 1. for name in 'abcdefg'}}])
    assert len(loss_figure(losses).axes[0].lines) == 8


@pytest.mark.parametrize('values, scale', [([1., 9.], 'log'), ([1., 2.], 'linear'), ([0., 9.], 'linear'),
                                           ([math.nan, math.nan], 'linear'), ([math.nan, 1., 9.], 'log')])
def test_the_axis_is_logarithmic_where_that_helps(values, scale):
    figure = loss_figure({'loss': {'': Curve(list(range(len(values))), values)}})
    assert figure.axes[0].get_yscale() == scale


def test_nothing_to_draw_is_an_error_and_no_empty_picture():
    with pytest.raises(ValueError, match='no losses to draw'):
        loss_figure({})


@pytest.mark.parametrize('scales, steps', [(19, 300), (9, 5), (1, 1)])
def test_no_text_overlaps_another_or_leaves_the_figure(scales, steps, check_texts):
    rows = log_rows([50 * i for i in range(1, steps + 1)], [f'{(i + 1) / (scales + 1):.2f}' for i in range(scales)])
    check_texts(loss_figure(read_losses(rows)), least=8)
