import pytest

from mmamd.visualization.class_plot import MOST_CLASSES, ClassValues, class_figure, shown_classes


def test_a_class_is_a_row_of_a_bar_a_network_the_best_known_first(tmp_path):
    found = ClassValues('IoU', ['pole', 'road $', 'train'], {'teacher': [40., 95.5, None], 'student': [10., 94., 0.]})
    found.save(tmp_path / 'classes.json')
    assert ClassValues.load(tmp_path / 'classes.json') == found
    figure = class_figure(found)
    axes, = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [r'road \$', 'pole']  # nobody has a train
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[95.5, 40.], [94., 10.]]
    assert axes.get_xlabel() == 'IoU, %'
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['teacher', 'student']


@pytest.mark.parametrize('num', [MOST_CLASSES, 150])
def test_of_many_classes_those_are_shown_in_which_the_networks_differ_most(num):
    found = ClassValues('IoU', [str(k) for k in range(num)], {
        'teacher': [50. + k / 10 for k in range(num)], 'student': [50. - k / 10 for k in range(num)]})
    assert shown_classes(found) == [*range(num - 1, num - 1 - MOST_CLASSES, -1)]
