import numpy as np
import pytest
from picture_toys import make_family
from test_importance_plot import VIT_L

from mmamd.visualization.kept_plot import kept_figure

TENTHS = {i / 10: (100 * i, 10 * i) for i in range(1, 10)}


def panels(figure):
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def test_every_cell_says_how_many_units_a_layer_keeps_at_a_scale():
    axes = panels(kept_figure(make_family()))['Neurons kept']
    assert [text.get_text() for text in axes.texts] == ['10', '20', '30', '40'] * 2  # of 40, and the teacher's
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.25, 0.5, 0.75, 1]] * 2)
    assert [label.get_text() for label in axes.get_xticklabels()] == ['0.25', '0.50', '0.75', '1.00']
    assert [label.get_text() for label in axes.get_yticklabels()] == ['0', '1']


def test_each_kind_of_units_has_a_panel_of_its_own():
    assert list(panels(kept_figure(make_family()))) == ['Heads kept', 'Neurons kept']
    assert list(panels(kept_figure(make_family({'stages.0.0.filter': 64})))) == ['Filters kept']


@pytest.mark.parametrize('assistants, has_student, label', [
    ((), True, '(0.25: student, 1.00: teacher)'),
    ((0.75,), True, '(0.25: student, 0.75: assistant, 1.00: teacher)'),
    ((0.75, 0.5), False, '(0.75 and 0.50: assistants, 1.00: teacher)')])
def test_roles_stand_below_the_scales(assistants, has_student, label):
    axes = kept_figure(make_family(), assistants, has_student).axes[0]
    assert axes.get_xlabel() == f'Scale\n{label}'


def test_several_students_stand_below_their_scales():
    axes = kept_figure(make_family(), (0.75,), students=(0.25, 0.5)).axes[0]
    assert axes.get_xlabel() == 'Scale\n(0.25 and 0.50: students, 0.75: assistant, 1.00: teacher)'


@pytest.mark.parametrize('counts, candidates', [
    (VIT_L, {0.125: (1, 1)}), (VIT_L, TENTHS),
    ({'layers.0.head': 16, 'layers.0.neuron': 4096}, {i / 20: (i, i) for i in range(1, 20)})],
    ids=['one candidate', 'nine', 'nineteen'])
def test_no_text_overlaps_another_or_leaves_the_figure(counts, candidates, check_texts):
    check_texts(kept_figure(make_family(counts, candidates), tuple(candidates)[:2]), least=80)
