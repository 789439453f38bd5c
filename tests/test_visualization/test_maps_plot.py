"""Pictures of what terms show, and of the distance that ScaleKD logs."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from mmamd.files.training_log import Curve
from mmamd.structures import Maps
from mmamd.visualization import make_pictures, read_run
from mmamd.visualization.distance_plot import distance_figure, read_distances
from mmamd.visualization.maps_plot import maps_figure
from mmamd.visualization.style import STYLES

SHOWN = Maps('spectrum', 'Spectra', 'How to read them.', 'share', {
    'teacher: backbone.stages.2.blocks.17': [[1., 2.], [3., 4.]], 'teacher: backbone.norm3': [[0.]],
    'student: backbone.layer3': [[1., 2., 3.]], 'student: backbone.layer4': [[1.]], 'fifth': [[2.]]})


@pytest.mark.parametrize('style', STYLES, ids=lambda style: style.name)
def test_maps_are_drawn_side_by_side_on_one_scale(style, check_texts):
    figure = maps_figure(SHOWN, style)
    *panels, bar = figure.axes
    assert [axes.images[0].get_array().tolist() for axes in panels] == list(SHOWN.panels.values())
    assert {axes.images[0].get_clim() for axes in panels} == {(0., 4.)} and bar.get_ylabel() == 'share'
    check_texts(figure, least=6)


def test_rows_and_columns_that_are_numbers_of_something_are_numbered(check_texts):
    figure = maps_figure(Maps('pathways', 'Pathways', 'How to read them.', 'weight', {
        'at 0%': [[0.5, 1.], [None, 2.]], 'at 100%': [[3., 1.], [None, 2.]]}, rows='teacher', columns='student'))
    *panels, bar = figure.axes
    for axes in panels:
        assert [label.get_text() for label in axes.get_xticklabels()] == ['0', '1']
        assert [label.get_text() for label in axes.get_yticklabels()] == ['0', '1']
        assert (axes.get_xlabel(), axes.get_ylabel()) == ('student', 'teacher')
        assert axes.images[0].get_array().mask.tolist() == [[False, False], [True, False]], 'there is no value'
        assert axes.images[0].get_clim() == (0.5, 3.)
    check_texts(figure, least=10)


def test_of_many_numbers_some_are_said(check_texts):
    figure = maps_figure(Maps('m', 'M', 'How.', 'unit', {'x': np.eye(100).tolist()}, rows='class', columns='class'))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [str(10 * i) for i in range(10)]
    check_texts(figure, least=20)


def log_distance(folder, value):
    """Has the student of a run log a distance; returns its folder."""
    log, = folder.glob('student/*/vis_data/scalars.json')
    log.write_text(''.join(json.dumps({**json.loads(line), '0.25.alternative_distance': value}) + '\n'
                           for line in log.read_text().splitlines()))
    return folder


def test_distances_are_told_apart_by_network():
    rows = [{'step': 5, '0.30.alternative_distance': 1., 'loss': 9.}, {'step': 9, '0.30.alternative_distance': 0.5},
            {'step': 9, '0.60.alternative_distance': 2.}]
    found = read_distances(rows)
    assert found == {'0.30': Curve([5, 9], [1., 0.5]), '0.60': Curve([9], [2.])}
    lines = distance_figure({'with DFM': found['0.30'], 'without': found['0.60']}).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[1., 0.5], [2.]]
    with pytest.raises(ValueError, match='no distances to draw'):
        distance_figure({})


def test_distances_of_other_runs_are_drawn_beside_those_of_a_run(run_by, tmp_path):
    folders = [log_distance(run_by('KD'), 1.), log_distance(run_by('AMD'), 2.)]
    run = read_run(folders[0], beside=folders[1:])
    assert {name: set(curve.values) for name, curve in run.distances['student'].items()} == {
        'a run by KD: 0.25': {1.}, 'a run by AMD: 0.25': {2.}}
    picture, = (picture for picture in make_pictures(run)[0] if picture.kind == 'distance')
    assert [text.get_text() for text in picture.draw().axes[0].get_legend().get_texts()] == [
        'a run by KD: 0.25', 'a run by AMD: 0.25']
    with pytest.raises(ValueError, match=r'two runs are in folders of one name, .*, by which their curves'):
        read_run(folders[0], beside=folders[:1])
    with pytest.raises(ValueError, match=r'a run by MMD has logged no distance in student; name runs whose student'):
        read_run(folders[0], beside=[run_by('MMD')])
    with pytest.raises(ValueError, match='a run by MMD has logged no distance itself; begin with a run whose student'):
        read_run(tmp_path / 'a run by MMD', beside=folders[:1])
    with pytest.raises(FileNotFoundError, match='nowhere holds no stages.json'):
        read_run(folders[0], beside=[tmp_path / 'nowhere'])


def test_a_run_shows_what_its_terms_have_left(run_by):
    folder = run_by('KD')
    (folder / 'export' / 'terms.json').write_text(json.dumps({'student': [asdict(SHOWN)]}))
    log_distance(folder, 1.)
    pictures, _ = make_pictures(read_run(folder))
    names = [picture.name for picture in pictures]
    assert {'distance_student', 'spectrum_student'} < set(names)
    assert pictures[names.index('spectrum_student')].title == 'Spectra: student'
    (folder / 'export' / 'terms.json').write_text('["x"]')
    with pytest.raises(ValueError, match='terms.json .*--start-from export$'):
        read_run(folder)
