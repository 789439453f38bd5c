import numpy as np
import pytest
from picture_toys import make_family, make_importance

from mmamd.visualization.importance_plot import importance_figure

VIT_L = {f'layers.{i}.{kind}': count for i in range(24) for kind, count in (('head', 16), ('neuron', 4096))}


def test_few_units_are_a_map_of_layer_and_unit_normalised_within_the_layer():
    importance = make_importance()
    shown = importance_figure(importance).axes[0].images[0].get_array()
    scores = np.array([importance.scores['layers.0.head'], importance.scores['layers.1.head']])
    np.testing.assert_allclose(shown, scores / np.linalg.norm(scores, axis=1, keepdims=True))


def test_many_units_are_a_descending_curve_a_layer():
    importance = make_importance()
    curves = importance_figure(importance).axes[1].lines
    assert len(curves) == 2
    for curve, name in zip(curves, ['layers.0.neuron', 'layers.1.neuron'], strict=True):
        scores = np.sort(importance.scores[name])[::-1] / np.linalg.norm(importance.scores[name])
        np.testing.assert_allclose(curve.get_xydata(), np.column_stack([np.arange(1, 41), scores]))


def test_long_curves_keep_their_ends_and_few_points():
    curve = importance_figure(make_importance({'layers.0.neuron': 4096})).axes[0].lines[0].get_xydata()
    assert len(curve) < 200
    assert (curve[0, 0], curve[-1, 0]) == (1, 4096)


def test_dots_are_on_the_units_that_the_student_keeps():
    importance, family = make_importance(), make_family()
    heads, neurons = importance_figure(importance, family).axes[:2]
    assert not heads.collections  # int(2 * 0.25) = 0 heads are kept
    # Of 40 neurons 10 are kept; the dot is on the tenth.
    curves, dots = ([line.get_xydata() for line in neurons.lines if (len(line.get_xydata()) == 1) == is_dot]
                    for is_dot in (False, True))
    for curve, dot in zip(curves, dots, strict=True):
        np.testing.assert_array_equal(dot, curve[9:10])
    larger = make_family(candidates={0.5: (500, 60)})
    dots = importance_figure(importance, larger).axes[0].collections[0].get_offsets()
    assert dots.tolist() == [[larger.order['layers.0.head'][0], 0], [larger.order['layers.1.head'][0], 1]]


def test_layers_of_unequal_width_leave_the_rest_of_their_row_empty():
    shown = importance_figure(make_importance({'stages.0.head': 3, 'stages.1.head': 6})).axes[0].images[0].get_array()
    assert np.isnan(np.ma.filled(shown[0], np.nan)[3:]).all() and not np.isnan(np.ma.filled(shown[1], np.nan)).any()


@pytest.mark.parametrize('counts', [VIT_L, {'layer1.0.conv1.filter': 64, 'stem.filter': 16}], ids=['vit-l', 'resnet'])
def test_no_text_overlaps_another_or_leaves_the_figure(counts, check_texts):
    check_texts(importance_figure(make_importance(counts), make_family(counts)), least=8)
