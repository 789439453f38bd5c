from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread

from mmamd.selection.npsd import select
from mmamd.structures import Candidate, CandidateFamily, Cost, Measurement
from mmamd.visualization import plot_selection
from mmamd.visualization.selection_plot import selection_figure


def selection_of(scales, rule='npsd', num_draws=50, **kwargs):
    """A concave curve and a teacher slightly above it; the first scale is the student."""
    rng = np.random.default_rng(0)

    def measure(scale, value):
        return Measurement(scale, value, [value + float(d) for d in rng.normal(0, 0.004, num_draws)])

    return select([measure(s, 0.89 - 0.012 / s) for s in scales], measure(1.0, 0.8933), scales[0], rule, **kwargs)


def family_of(selection, scale_by='flops'):
    candidates = [Candidate(m.scale, {}, Cost(1, 1), m.scale) for m in selection.measurements]
    return CandidateFamily(candidates, Cost(1, 1), {}, scale_by)


TENTHS = [i / 10 for i in range(1, 10)]


def test_figure_is_written_as_a_png_into_a_new_folder(tmp_path):
    selection = selection_of(TENTHS)
    plot_selection(selection, family_of(selection), tmp_path / 'new' / 'selection.png', student_value=0.8)
    height, width, _ = imread(tmp_path / 'new' / 'selection.png').shape
    assert width >= 1200 and height >= 800
    assert plt.get_fignums() == []  # no state of pyplot is touched


def test_both_axes_show_the_numbers_of_the_selection():
    selection = selection_of(TENTHS)
    upper, lower = selection_figure(selection, family_of(selection)).axes
    performance, score = upper.containers[0].lines[0], lower.containers[0].lines[0]
    np.testing.assert_allclose(performance.get_xydata(), [[m.scale, m.value] for m in selection.measurements])
    np.testing.assert_allclose(score.get_xydata(), np.column_stack([TENTHS[1:], selection.scores['npsd'][1:]]))


@pytest.mark.parametrize('rule, kwargs, label', [('npsd', {}, 'NPSD'), ('npsd_local', {}, 'local NPSD'),
                                                 ('lambda_tradeoff', {}, 'lambda trade-off'),
                                                 ('manual', dict(scale='smallest'), 'NPSD')])
def test_second_axis_shows_the_score_of_the_rule_and_of_npsd_for_a_manual_choice(rule, kwargs, label):
    selection = selection_of(TENTHS, rule, **kwargs)
    assert selection_figure(selection, family_of(selection)).axes[1].get_ylabel().splitlines()[0] == label


@pytest.mark.parametrize('scale_by, text', [('flops', 'MACs'), ('params', 'parameters'), ('units', 'prunable units')])
def test_horizontal_axis_says_what_the_scale_is_a_fraction_of(scale_by, text):
    selection = selection_of(TENTHS)
    label = selection_figure(selection, family_of(selection, scale_by)).axes[0].get_xlabel()
    assert label == f"Scale (fraction of the teacher's {text})"


def test_legend_names_teacher_assistant_and_both_students():
    selection = selection_of(TENTHS)
    assistant = next(m for m in selection.measurements if m.scale == selection.assistant)
    texts = [t.get_text() for t in selection_figure(selection, family_of(selection), 0.8123).legends[0].get_texts()]
    assert texts == ['candidate, 95% interval', 'teacher (0.893)', 'student, shared weights (0.770)',
                     f'assistant ({assistant.value:.3f})', 'student, distilled (0.812)', 'NPSD, 95% interval']


def test_a_student_of_another_architecture_is_none_of_the_candidates():
    selection = selection_of(TENTHS)
    figure = selection_figure(selection, family_of(selection), has_student=False)
    assert not any('student' in text.get_text() for text in figure.legends[0].get_texts())


def test_without_draws_no_interval_is_claimed():
    selection = selection_of(TENTHS, num_draws=0)
    texts = [t.get_text() for t in selection_figure(selection, family_of(selection)).legends[0].get_texts()]
    assert not any('interval' in text for text in texts)


@pytest.mark.parametrize('scales', [TENTHS, [i / 16 for i in range(1, 16)], [0.15, 0.5], [0.05, 0.1, 0.85, 0.95, 0.99]])
@pytest.mark.parametrize('rule', ['npsd', 'lambda_tradeoff'])
def test_no_text_overlaps_another_or_leaves_the_figure(scales, rule):
    selection = selection_of(scales, rule)
    figure = selection_figure(selection, family_of(selection, 'units'), student_value=0.85)
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in _shown_texts(figure)]
    assert len(boxes) > 15
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        assert not box_a.overlaps(box_b), (a, b)
    for text, box in boxes:
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), text
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), text


def _shown_texts(figure):
    upper, lower = figure.axes
    legend = figure.legends[0]
    low, high = upper.get_xlim()
    across = [label for label in upper.get_xticklabels() if low <= label.get_position()[0] <= high]
    return [*across, *upper.get_yticklabels(), *lower.get_yticklabels(), upper.xaxis.label, upper.yaxis.label,
            lower.yaxis.label, legend.get_title(), *legend.get_texts()]


def test_the_curves_have_a_part_of_the_frame_each():
    selection = selection_of(TENTHS)
    upper, lower = selection_figure(selection, family_of(selection)).axes
    lowest = min(_heights(upper, [m.resampled for m in selection.measurements]))
    highest = max(_heights(lower, [score for score in selection.scores['npsd'] if score is not None]))
    assert lowest > highest


def _heights(axes, values):
    """Heights in the frame, as fractions."""
    low, high = axes.get_ylim()
    return [(float(v) - low) / (high - low) for v in np.ravel(values)]
