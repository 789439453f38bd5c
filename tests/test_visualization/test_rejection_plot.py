from searched_toys import SEARCHED

from mmamd.visualization.rejection_plot import rejection_figure


def test_rejections_are_counted_by_reason_and_method(check_texts):
    figure = rejection_figure(SEARCHED)
    axes, = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ['loss not finite', 'gradient zero']
    # 2 of 6 by evolution, 1 of 3 by chance.
    widths = [[round(bar.get_width(), 3) for bar in bars] for bars in axes.containers]
    assert widths == [[33.333, 0.], [0., 33.333]]
    assert [text.get_text() for text in axes.texts] == ['2', '0', '0', '1']
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        'evolution: 2 of 6 rejected', 'random: 1 of 3 rejected']
    check_texts(figure, least=8)
