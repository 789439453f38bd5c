import numpy as np
import pytest

from mmamd.visualization.examples_plot import Example, Examples, Prediction, examples_figure
from mmamd.visualization.style import LIGHT

LONG = 'a_class_name_without_any_space_in_it'
NAMES = ['cat', 'dog', 'tench, Tinca tinca', LONG, '$x_{$ & y']


def examples_of(num, networks=('teacher', 'assistant', 'student'), classes=NAMES):
    """The network at place p is off by p classes."""
    return Examples([Example('', i % 5, {name: Prediction((i + p) % 5, 0.123) for p, name in enumerate(networks)})
                     for i in range(num)], classes)


def images(num, shape=(8, 8, 3)):
    return [np.full(shape, 0.5)] * num


def test_every_image_has_its_class_above_and_the_predictions_below():
    figure = examples_figure(examples_of(2), images(2))
    first, second = figure.axes
    assert [first.get_title(), second.get_title()] == ['cat', 'dog']
    assert [text.get_text() for text in first.texts] == [
        '\u2713 teacher: cat (12%)', '\u2717 assistant: dog (12%)', '\u2717 student: tench (12%)']


def test_right_and_wrong_differ_in_sign_and_colour():
    right, wrong, _ = examples_figure(examples_of(1), images(1)).axes[0].texts
    assert (right.get_text()[0], right.get_color()) == ('\u2713', LIGHT.blue)
    assert (wrong.get_text()[0], wrong.get_color()) == ('\u2717', LIGHT.orange)


def test_classes_without_names_are_numbered():
    figure = examples_figure(examples_of(1, classes=None), images(1))
    assert figure.axes[0].get_title() == 'class 0'


def test_a_dollar_sign_in_a_class_name_is_no_formula_and_long_names_are_cut():
    figure = examples_figure(examples_of(5), images(5))
    figure.draw_without_rendering()  # as a formula it would raise
    assert figure.axes[4].get_title() == '$x_{$ & y'
    assert figure.axes[3].get_title() == LONG[:19] + '\u2026'


def test_examples_are_read_as_they_were_saved(tmp_path):
    examples = examples_of(3)
    examples.save(tmp_path / 'examples.json')
    assert Examples.load(tmp_path / 'examples.json') == examples


def test_skipped_examples_are_an_error_that_gives_the_reason():
    with pytest.raises(ValueError, match='no examples to draw: no class scores'):
        examples_figure(Examples([], skipped='no class scores'), [])


@pytest.mark.parametrize('shape', [(8, 8), (6, 16, 3), (16, 6, 3)])
def test_no_text_overlaps_another_or_leaves_the_figure(shape, check_texts):
    examples = examples_of(12, ('teacher', 'assistant 1', 'assistant 2', 'student'), [LONG] * 5)
    check_texts(examples_figure(examples, images(12, shape)), least=60)
