"""A run that nobody trained: the files that one would leave, small and known."""

import json
from itertools import combinations

import numpy as np
import pytest
from matplotlib.image import imsave
from mmengine.config import Config
from picture_toys import log_rows, make_family, make_importance, make_selection, write_log

from mmamd.structures import write_json
from mmamd.visualization import read_run, write_report
from mmamd.visualization.examples_plot import Example, Examples, Prediction


def make_run(folder):
    """Files of a finished run with one assistant and two test images."""
    seconds = {'score': 2., 'nest': 0.1, 'joint': 70., 'select': 5., 'student': 30., 'export': 3.}
    write_json(folder / 'stages.json', {'seed': 7, 'stages': {name: {
        'finished': True, 'seconds': value, 'planned_macs': 1e9 * value, 'fingerprint': {}}
        for name, value in seconds.items()}})
    make_importance().save(folder / 'score' / 'importance.json')
    make_family().save(folder / 'nest' / 'family.json')
    selection = make_selection()
    (folder / 'select').mkdir()
    selection.save(folder / 'select' / 'selection.json')
    write_log(folder / 'joint' / '20260101_000000', log_rows([10, 20, 30]))
    write_log(folder / 'student' / '20260101_000100', log_rows([10, 20], ['0.25']))
    (folder / 'export' / 'examples').mkdir(parents=True)
    for i in range(2):
        imsave(folder / 'export' / 'examples' / f'{i}.png', np.full((4, 4, 3), 0.5))
    says = {'teacher': Prediction(0, 0.9), 'assistant': Prediction(0, 0.8), 'student': Prediction(1, 0.6)}
    Examples([Example(f'examples/{i}.png', i, says) for i in range(2)], ['cat', 'dog']).save(
        folder / 'export' / 'examples.json')
    Config(dict(data_root='some/data', compression=dict(student=0.25), visualizer=dict(type='Visualizer'),
                model=dict(architecture=dict(type='ImageClassifier', backbone=dict(type='mmamd.MaskedViT')),
                           teacher='<script>alert("teacher")</script>.pth'))).dump(folder / 'run_config.py')
    candidates = [{'scale': m.scale, 'test_value': m.value - 0.1} for m in selection.measurements]
    write_json(folder / 'summary.json', {
        'metric': 'accuracy/top1', 'teacher': {'value': 0.7, 'macs': 1000, 'params': 100},
        'rounds': [{'candidates': candidates, 'assistant': {'scale': 0.75, 'value': 0.66}}],
        'student': {'scale': 0.25, 'value': 0.63, 'macs': 250, 'params': 40, 'path': 'student/student.pth'},
        'record': {'commit': 'abc123', 'versions': {'torch': '2.12'}, 'seed': 7,
                   'command': "tools/train.py a.py --work-dir 'a & b'",
                   'dataset fingerprint': {split: {'images': 1234, 'digest': f'digest of {split}'}
                                           for split in ('train', 'val', 'test')}}})
    return folder


@pytest.fixture
def work_dir(tmp_path):
    """Folder of a run of its own for each test."""
    return make_run(tmp_path / 'a run')


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory):
    """Folder of a run to look at, with its report."""
    folder = make_run(tmp_path_factory.mktemp('finished') / 'a run')
    write_report(read_run(folder), folder / 'report.html')
    return folder


@pytest.fixture
def unfinish():
    """Function that makes a run one whose last stages never began: their entries go, their files need not."""
    def forget(folder, *stages, interrupted=None):
        state = json.loads((folder / 'stages.json').read_text())
        state['stages'] = {name: entry for name, entry in state['stages'].items() if name not in stages}
        if interrupted:
            state['stages'][interrupted]['finished'] = False
        write_json(folder / 'stages.json', state)
    return forget


@pytest.fixture
def check_texts():
    """Function that finds texts of a figure which overlap or leave it."""
    def check(figure, least):
        figure.draw_without_rendering()
        texts = [text for axes in figure.axes for text in _texts_of(axes)] + [
            text for legend in figure.legends for text in [legend.get_title(), *legend.get_texts()]]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts
                 if text.get_visible() and text.get_text()]
        assert len(boxes) >= least
        for (a, box_a), (b, box_b) in combinations(boxes, 2):
            assert not box_a.overlaps(box_b), (a, b)
        for text, box in boxes:
            assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), text
            assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), text
    return check


def _texts_of(axes):
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    yield from (label for label in axes.get_xticklabels() if left <= label.get_position()[0] <= right)
    yield from (label for label in axes.get_yticklabels() if low <= label.get_position()[1] <= high)
    yield from (axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts)
