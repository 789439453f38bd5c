import numpy as np
import pytest
from picture_toys import STEPS, make_refitted

from mmamd.visualization import DARK, LIGHT
from mmamd.visualization.refit_plot import Refitted, refit_figure

TENTHS = [i / 10 for i in range(1, 10)]
VIT_L = [f'layers.{i}.{kind}' for i in range(24) for kind in ('head', 'neuron')] + ['head.fc']
RESNET = [f'layer{i}.{j}' for i, num in ((1, 3), (2, 4), (3, 6), (4, 3)) for j in range(num)] + ['head.fc']
SWIN = [f'stages.{i}.blocks.{j}.{kind}' for i, num in enumerate((2, 2, 18, 2)) for j in range(num)
        for kind in ('head', 'neuron')] + ['head.fc']


def panels(figure):
    return {axes.get_title(): axes for axes in figure.axes}


def points(axes, colour):
    """All points of a colour, by their place."""
    drawn = [line.get_xydata() for line in axes.lines if line.get_color() == colour and len(line.get_xydata())]
    return np.concatenate(drawn)[np.argsort(np.concatenate(drawn)[:, 0])]


def test_what_a_refit_has_found_is_saved_and_read(tmp_path):
    for found in (make_refitted(), make_refitted(is_judged=False, assistant=0.5)):
        found.save(tmp_path / 'refit.json')
        assert Refitted.load(tmp_path / 'refit.json') == found


def test_both_performances_stand_over_the_scale_and_the_teachers_is_a_line():
    axes = panels(refit_figure(make_refitted()))['']
    teacher, cut, refit = axes.lines
    assert list(teacher.get_ydata()) == [0.8, 0.8]
    np.testing.assert_allclose(cut.get_xydata(), [[0.25, 0.125], [0.5, 0.25], [0.75, 0.375]])
    np.testing.assert_allclose(refit.get_xydata(), [[0.25, 0.4625], [0.5, 0.525], [0.75, 0.5875]])
    assert axes.get_xlabel() == "Scale (fraction of the teacher's MACs)"


def test_each_branch_of_a_network_shows_what_it_misses_before_and_after():
    axes = panels(refit_figure(make_refitted()))['Scale 0.25']
    np.testing.assert_allclose(points(axes, LIGHT.orange), [[i, 0.75] for i in range(5)])
    np.testing.assert_allclose(points(axes, LIGHT.blue), [[i, 0.375] for i in range(5)])
    assert [(tick, label.get_text()) for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)] \
        == [(0.5, '0'), (2.5, '1')]  # a layer has two branches, and the classifier is none


@pytest.mark.parametrize('found, titles', [
    (make_refitted(TENTHS), ['', 'Scale 0.10', 'Scale 0.50', 'Scale 0.90']),
    (make_refitted((0.25,), assistant=0.5), ['', 'Scale 0.25', 'Scale 0.50 (assistant)']),
    (make_refitted((0.25,)), ['', 'Scale 0.25']),
    (make_refitted((0.25, 0.5), is_judged=False), ['Scale 0.25', 'Scale 0.50'])])
def test_some_networks_show_their_branches(found, titles):
    assert sorted(panels(refit_figure(found))) == titles


def test_the_legend_names_what_there_is():
    def texts(found):
        return [text.get_text() for text in refit_figure(found).legends[0].get_texts()]

    assert texts(make_refitted()) == ['teacher', 'cut', 'refit', 'attention', 'feed-forward', 'classifier']
    assert texts(make_refitted(steps=STEPS[:4], is_judged=False)) == ['cut', 'refit', 'attention', 'feed-forward']
    assert texts(make_refitted(steps=RESNET)) == ['teacher', 'cut', 'refit', 'block or classifier']


def test_a_whole_network_that_misses_nothing_is_drawn():
    refit_figure(make_refitted((1.0,))).draw_without_rendering()


@pytest.mark.filterwarnings('error:constrained_layout')
@pytest.mark.parametrize('style', [LIGHT, DARK], ids=lambda style: style.name)
@pytest.mark.parametrize('steps', [STEPS, VIT_L, RESNET, SWIN], ids=['two layers', 'ViT-L', 'ResNet-50', 'Swin-S'])
@pytest.mark.parametrize('scales, is_judged', [(TENTHS, True), ((0.1, 0.4), True), ((0.1,), True), ((0.1,), False),
                                               ((0.1, 0.4), False)])
def test_no_text_overlaps_another_or_leaves_the_figure(scales, is_judged, steps, style, check_texts):
    check_texts(refit_figure(make_refitted(scales, steps, is_judged), 'units', style), least=10)
