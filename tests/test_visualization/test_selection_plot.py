from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import picture_toys
import pytest
from matplotlib.image import imread

from mmamd.selection.choice import choose
from mmamd.selection.rules import RULES, rule
from mmamd.structures import Measurement
from mmamd.visualization import plot_selection
from mmamd.visualization.selection_plot import OnTestImages, selection_figure


def selection_of(scales, rule='npsd', num_draws=50, **kwargs):
    """A concave curve and a teacher slightly above it; the first scale is the student."""
    rng = np.random.default_rng(0)

    def measure(scale, value):
        return Measurement(scale, value, [value + float(d) for d in rng.normal(0, 0.004, num_draws)])

    return choose([measure(s, 0.89 - 0.012 / s) for s in scales], measure(1.0, 0.8933), scales[0], rule, **kwargs)


def students_of(num, num_draws=50):
    """Separate networks of one scale; the second one is the best."""
    rng = np.random.default_rng(0)

    def measure(scale, value, name=None):
        return Measurement(scale, value, [value + float(d) for d in rng.normal(0, 0.004, num_draws)], name)

    students = [measure(0.1, 0.85 - 0.01 * abs(i - 1), f'student_0.{i + 2}0') for i in range(num)]
    return choose(students, measure(1.0, 0.8933), None, 'best')


TENTHS = [i / 10 for i in range(1, 10)]
TESTED = OnTestImages(0.85, {'0.10': 0.7, '0.50': 0.82, '0.90': 0.84}, {0.1: 0.8123})


def test_figure_is_written_as_a_png_into_a_new_folder(tmp_path):
    selection = selection_of(TENTHS)
    plot_selection(selection, 'MACs', tmp_path / 'new' / 'selection.png')
    height, width, _ = imread(tmp_path / 'new' / 'selection.png').shape
    assert width >= 1200 and height >= 800
    assert plt.get_fignums() == []  # no state of pyplot is touched


def test_both_axes_show_the_numbers_of_the_selection():
    selection = selection_of(TENTHS)
    upper, lower = selection_figure(selection, 'MACs').axes
    performance, score = upper.containers[0].lines[0], lower.containers[0].lines[0]
    np.testing.assert_allclose(performance.get_xydata(), [[m.scale, m.value] for m in selection.measurements])
    np.testing.assert_allclose(score.get_xydata(), np.column_stack([TENTHS[1:], selection.scores['npsd'][1:]]))


@pytest.mark.parametrize('rule, kwargs, label', [('npsd', {}, 'NPSD'), ('npsd_local', {}, 'local NPSD'),
                                                 ('lambda_tradeoff', {}, 'lambda trade-off'),
                                                 ('manual', dict(scale='smallest'), 'NPSD')])
def test_second_axis_shows_the_score_of_the_rule_and_of_npsd_for_a_manual_choice(rule, kwargs, label):
    selection = selection_of(TENTHS, rule, **kwargs)
    assert selection_figure(selection, 'MACs').axes[1].get_ylabel().splitlines()[0] == label


@pytest.mark.parametrize('scale_of', ['MACs', 'backbone MACs'])
def test_horizontal_axis_says_what_the_scale_is_a_fraction_of(scale_of):
    label = selection_figure(selection_of(TENTHS), scale_of).axes[0].get_xlabel()
    assert label == f"Scale (fraction of the teacher's {scale_of})"


def test_legend_names_teacher_choice_and_both_students():
    selection = selection_of(TENTHS)
    texts = [t.get_text() for t in selection_figure(selection, 'MACs', TESTED).legends[0].get_texts()]
    assert texts == ['candidate, 95% interval', 'teacher (89.3 %)', 'student, shared weights (77.0 %)',
                     f'chosen ({100 * selection.winner.value:.1f} %)', 'on the test images',
                     'distilled, test (81.2 %)', 'NPSD, 95% interval']


def test_the_test_images_have_a_line_of_their_own_that_ends_at_the_teacher():
    upper = selection_figure(selection_of(TENTHS), 'MACs', OnTestImages(0.85, {'0.10': 0.7, '0.90': 0.84}, {
        0.1: 0.8, 0.15: 0.81})).axes[0]
    line, stars = (next(each for each in upper.lines if each.get_label().startswith(label))
                   for label in ('on the', 'distilled'))
    np.testing.assert_allclose(line.get_xydata(), [[0.1, 0.7], [0.9, 0.84], [1, 0.85]])
    np.testing.assert_allclose(stars.get_xydata(), [[0.1, 0.8], [0.15, 0.81]])
    assert stars.get_label() == 'distilled, test (80.0, 81.0 %)'


@pytest.mark.parametrize('rule, kwargs, by', [('npsd', {}, 'by NPSD'), ('best', {}, 'by performance'),
                                              ('manual', dict(scale='smallest'), 'by hand')])
def test_the_title_says_what_was_chosen_and_how(rule, kwargs, by):
    selection = selection_of(TENTHS, rule, num_draws=0, **kwargs)
    title = selection_figure(selection, 'MACs').legends[0].get_title().get_text()
    assert title == f'{selection.chosen} chosen {by}'


@pytest.mark.parametrize('noise, title', [(0.0001, '0.50 chosen by performance'),
                                          (0.05, '0.50 chosen by performance, within noise of 1 other')])
def test_the_title_does_not_claim_a_choice_that_noise_could_turn(noise, title):
    rng = np.random.default_rng(0)
    measured = [Measurement(scale, value, (value + rng.normal(0, noise, 50)).tolist())
                for scale, value in ((0.3, 0.5), (0.4, 0.79), (0.5, 0.8), (1.0, 0.9))]  # 0.3 is far below
    figure = selection_figure(choose(measured[:3], measured[3], 0.1, 'best'), 'MACs')
    assert figure.legends[0].get_title().get_text() == title


@pytest.mark.parametrize('num_draws, title', [(50, '0.20 chosen by NPSD, the smallest to overlap the best'),
                                              (0, '0.90 chosen by NPSD')])
def test_the_title_says_that_the_cheapest_was_chosen_where_noise_leaves_the_choice_open(num_draws, title):
    rng = np.random.default_rng(0)

    def measure(scale, value):  # a little better for each unit of scale removed, the larger it is
        return Measurement(scale, value, (value + rng.normal(0, 0.05, num_draws)).tolist())

    selection = choose([measure(s, 0.4 + 0.105 * s) for s in TENTHS], measure(1.0, 0.5), 0.1, 'npsd_cost')
    figure = selection_figure(selection, 'MACs')
    assert figure.legends[0].get_title().get_text() == title
    assert figure.axes[1].get_ylabel().splitlines()[0] == 'NPSD'


def test_separate_networks_share_no_weights_with_the_student():
    figure = selection_figure(selection_of(TENTHS), 'MACs', TESTED, are_slices=False)
    assert 'student, before distillation (77.0 %)' in [text.get_text() for text in figure.legends[0].get_texts()]
    _check_texts(figure, 15)


def test_a_student_of_another_architecture_is_none_of_the_candidates():
    selection = selection_of(TENTHS)
    figure = selection_figure(selection, 'MACs', has_student=False)
    assert not any('student' in text.get_text() for text in figure.legends[0].get_texts())


def test_where_only_assistants_are_judged_the_smallest_is_not_the_student():
    selection = selection_of(TENTHS)
    without = choose(selection.measurements[1:], selection.reference, selection.above)
    figure = selection_figure(without, 'MACs', are_slices=False)
    assert not any('student' in text.get_text() for text in figure.legends[0].get_texts())


def test_without_draws_no_interval_is_claimed():
    selection = selection_of(TENTHS, num_draws=0)
    texts = [t.get_text() for t in selection_figure(selection, 'MACs').legends[0].get_texts()]
    assert not any('interval' in text for text in texts)


@pytest.mark.parametrize('scales', [TENTHS, [i / 16 for i in range(1, 16)], [0.15, 0.5], [0.05, 0.1, 0.85, 0.95, 0.99]])
@pytest.mark.parametrize('rule', ['npsd', 'lambda_tradeoff'])
def test_no_text_overlaps_another_or_leaves_the_figure(scales, rule):
    selection = selection_of(scales, rule)
    tested = OnTestImages(0.85, {m.key: m.value for m in selection.measurements}, {scales[0]: 0.84})
    figure = selection_figure(selection, 'prunable units', tested)
    _check_texts(figure, 15)


def _check_texts(figure, least):
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in _shown_texts(figure)]
    assert len(boxes) > least
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        assert not box_a.overlaps(box_b), (a, b)
    for text, box in boxes:
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), text
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), text


def _shown_texts(figure):
    upper, legend = figure.axes[0], figure.legends[0]
    low, high = upper.get_xlim()
    across = [label for label in upper.get_xticklabels() if low <= label.get_position()[0] <= high]
    beside = [text for axes in figure.axes for text in (*axes.get_yticklabels(), axes.yaxis.label)]
    return [*across, *beside, upper.xaxis.label, legend.get_title(), *legend.get_texts()]


def test_the_curves_have_a_part_of_the_frame_each():
    selection = selection_of(TENTHS)
    upper, lower = selection_figure(selection, 'MACs').axes
    lowest = min(_heights(upper, [m.resampled for m in selection.measurements]))
    highest = max(_heights(lower, [score for score in selection.scores['npsd'] if score is not None]))
    assert lowest > highest


def _heights(axes, values):
    """Heights in the frame, as fractions."""
    low, high = axes.get_ylim()
    return [(float(v) - low) / (high - low) for v in np.ravel(values)]


# --- a new rule ---

@pytest.fixture
def middle():
    """A rule that prefers the candidate nearest to half of the teacher's scale; it is gone after the test."""
    @rule('my label', 'my unit')
    def middle(scales, values, reference_scale, reference_value):
        return 0 * values - abs(scales - reference_scale / 2)

    yield
    del RULES['middle']


def test_a_new_rule_brings_its_label_and_its_unit_into_the_figure(middle):
    selection = selection_of(TENTHS, 'middle')
    figure = selection_figure(selection, 'MACs')
    assert figure.axes[1].get_ylabel() == 'my label\n(my unit)'
    legend = figure.legends[0]
    assert legend.get_title().get_text() == '0.50 chosen by my label'
    assert legend.get_texts()[-1].get_text() == 'my label, 95% interval'
    np.testing.assert_allclose(figure.axes[1].containers[0].lines[0].get_xydata()[:, 1],
                               selection.scores['middle'][1:])
    _check_texts(figure, 15)


# --- networks of one scale ---

def test_networks_of_one_scale_stand_side_by_side_under_their_names():
    selection = students_of(3)
    figure = selection_figure(selection, 'MACs')
    axes, = figure.axes  # no second axis: the score is the performance
    assert [label.get_text() for label in axes.get_xticklabels()] == ['student_0.20', 'student_0.30', 'student_0.40']
    assert axes.get_xlabel() == 'Network'
    np.testing.assert_allclose(axes.containers[0].lines[0].get_xydata(), [[0, 0.84], [1, 0.85], [2, 0.84]])
    assert axes.containers[0].lines[0].get_linewidth() == 0  # nothing lies between two networks
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ['candidate, 95% interval', 'teacher (89.3 %)', 'chosen (85.0 %)']
    assert figure.legends[0].get_title().get_text() == 'student_0.30 chosen by performance, within noise of 1 other'


def test_the_performance_has_the_whole_frame_where_there_is_no_score():
    selection = students_of(3)
    axes, = selection_figure(selection, 'MACs').axes
    heights = _heights(axes, [*(m.resampled for m in selection.measurements), selection.reference.resampled])
    assert min(heights) < 0.2 and max(heights) > 0.8
    assert 0.45 < axes.yaxis.label.get_position()[1] < 0.55


def test_best_among_scales_is_drawn_over_the_scale_without_a_second_axis():
    axes, = selection_figure(selection_of(TENTHS, 'best'), 'MACs').axes
    assert axes.get_xlabel() == "Scale (fraction of the teacher's MACs)"


@pytest.mark.parametrize('num', [2, 3, 5, 6, 8])
@pytest.mark.parametrize('num_draws', [0, 50])
def test_no_name_overlaps_another_or_leaves_the_figure(num, num_draws):
    _check_texts(selection_figure(students_of(num, num_draws), 'MACs'), 8)


def test_a_rule_that_is_not_registered_here_is_drawn_without_intervals():
    selection = picture_toys.make_selection()
    scores = {'their_rule': selection.scores['npsd']}
    figure = selection_figure(replace(selection, rule='their_rule', scores=scores), 'MACs')
    assert 'their_rule' in figure.legends[0].get_title().get_text()
