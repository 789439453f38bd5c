import pytest

from mmamd.visualization.proxy_plot import proxy_figure, rank_correlation
from mmamd.visualization.searched import Retrained

THREE = [Retrained(1., [0.7, 0.72]), Retrained(2., [0.69]), Retrained(3., [0.6, 0.7])]


def test_dots_are_means_over_students_and_the_correlation_is_of_ranks(check_texts):
    figure = proxy_figure(THREE, 'accuracy/top1')
    axes, = figure.axes
    line = axes.containers[0].lines[0]
    assert line.get_xdata().tolist() == [1., 2., 3.] and line.get_ydata().tolist() == pytest.approx([71., 69., 65.])
    assert axes.get_title() == 'Rank correlation -1.00, of 3 distillers'
    assert axes.get_ylabel() == 'accuracy/top1 on the test images (%)'
    check_texts(figure, least=8)


def test_of_two_distillers_no_correlation_is_said():
    assert proxy_figure(THREE[:2], 'mIoU').axes[0].get_title() == ''


@pytest.mark.parametrize('x, y, expected', [
    ([1, 2, 3, 4], [1, 4, 9, 16], 1.), ([1, 2, 3], [1, 1, 1], 0.),
    # Ranks 0, 1, 2, 3 and 0.5, 0.5, 2, 3 less their means 1.5: 4.5 / sqrt(5 x 4.5).
    ([1, 2, 3, 4], [5, 5, 6, 7], 4.5 / (5 * 4.5) ** 0.5)])
def test_rank_correlation_is_spearmans(x, y, expected):
    assert rank_correlation(x, y) == pytest.approx(expected)
