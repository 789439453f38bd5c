import pytest
from picture_toys import make_bench

from mmamd.visualization.latency_plot import latency_figure
from mmamd.visualization.style import DARK, LIGHT


@pytest.mark.parametrize('style', [LIGHT, DARK], ids=['light', 'dark'])
def test_bars_are_medians_and_lines_across_them_quartiles(style, check_texts):
    figure = latency_figure(make_bench()['networks'], style)
    one, many = figure.axes
    assert [bar.get_width() for bar in one.patches] == [40., 20., 4., 2.]
    assert [bar.get_width() for bar in many.patches] == [1280., 640., 128., 64.]
    segments = one.collections[0].get_segments()
    assert [(segment[0][0], segment[1][0]) for segment in segments] == [
        (pytest.approx(0.975 * median), pytest.approx(1.05 * median)) for median in (40., 20., 4., 2.)]
    assert [label.get_text() for label in one.get_yticklabels()] == [
        'teacher, torch', 'teacher, ONNX Runtime', 'student, ONNX Runtime', 'student, ONNX Runtime int8']
    assert [text.get_text() for text in one.texts] == ['40', '20', '4', '2']
    assert one.yaxis_inverted(), 'the teacher is on top'
    check_texts(figure, least=20)


def test_one_batch_size_is_one_panel():
    networks = [{**row, 'timings': row['timings'][:1]} for row in make_bench()['networks']]
    axes, = latency_figure(networks).axes
    assert axes.get_xlabel() == 'Batch of 1: ms a call'
