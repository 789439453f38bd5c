"""A run that nobody trained: the files that one would leave, small and known."""

import json
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from matplotlib.image import imsave
from mmengine.config import Config
from picture_toys import (
    log_rows,
    make_bench,
    make_family,
    make_importance,
    make_refitted,
    make_selection,
    make_student_selection,
    write_log,
)

from mmamd.files.json_file import write_json
from mmamd.files.run_config import read_run_config, write_run_config
from mmamd.structures import Network
from mmamd.visualization import read_run, write_report
from mmamd.visualization.examples_plot import Example, Examples, Prediction
from mmamd.weights.networks import find_network, save_judged, save_networks

# Method -> what it lays between the stages nest and export, stage -> kind and seconds; and what it delivers.
METHODS = {
    'AMD': ({'joint': ('distil', 70.), 'select': ('select', 5.), 'student': ('distil', 30.)}, 'student'),
    'AMD from refit': ({'refit': ('refit', 6.), 'select': ('select', 5.), 'refit_final': ('refit', 4.),
                        'student': ('distil', 30.)}, 'student'),
    'KD': ({'student': ('distil', 30.)}, 'student'),
    'KD from refit': ({'refit': ('refit', 4.), 'student': ('distil', 30.)}, 'student'),
    'MMD': ({'assistant_0.50': ('distil', 40.), 'student_0.50': ('distil', 30.), 'assistant_0.75': ('distil', 50.),
             'student_0.75': ('distil', 30.), 'select': ('select', 5.)}, 'select')}
ARCHITECTURE = dict(type='ImageClassifier', backbone=dict(type='mmamd.MaskedViT'))


def make_run(folder, method='AMD'):
    """Files of a finished run by a method, with two test images."""
    laid, delivered = METHODS[method]
    has_refit = 'refit' in laid
    method = method.partition(' ')[0]
    stages = {'score': ('score', 2.), 'nest': ('nest', 0.1), **laid, 'export': ('export', 3.)}
    write_json(folder / 'stages.json', {'format': 2, 'seed': 7, 'method': method, 'delivered': [delivered], 'stages': {
        name: {'kind': kind, 'finished': True, 'seconds': value, 'macs': 1e9 * value, 'planned_macs': 1e9 * value,
               'fingerprint': {}} for name, (kind, value) in stages.items()}})
    make_importance().save(folder / 'score' / 'importance.json')
    make_family().save(folder / 'nest' / 'family.json')
    for name, (kind, _) in laid.items():
        if kind == 'distil':
            scales = ['0.25', '0.50', '0.75'] if name == 'joint' else [
                name.removeprefix('assistant_') if name.startswith('assistant') else '0.25']
            write_log(folder / name / '20260101_000000', log_rows([10, 20, 30], scales))
            save_networks(folder, name, {scale: network_of(folder, name, scale) for scale in scales})
    if has_refit:
        scales = (0.25,) if method == 'KD' else (0.25, 0.5, 0.75)
        make_refitted(scales).save(folder / 'refit' / 'refit.json')
        save_networks(folder, 'refit', {f'{scale:.2f}': network_of(folder, 'refit', scale, scale) for scale in scales})
    if 'refit_final' in laid:
        make_refitted((0.25,), assistant=0.5).save(folder / 'refit_final' / 'refit.json')
    selection = {'AMD': partial(make_selection, 'npsd_cost' if has_refit else 'npsd'), 'MMD': make_student_selection,
                 'KD': lambda: None}[method]()
    if selection is not None:
        selection.save(folder / 'select' / 'selection.json')
        made = '' if method == 'MMD' else 'refit@' if has_refit else 'joint@'
        judged = {m.key: made + m.key for m in selection.measurements}
        save_judged(folder, 'select', judged)
        save_networks(folder, 'select', {selection.chosen: find_network(folder, judged[selection.chosen])})
    save_networks(folder, 'export', {delivered: network_of(folder, 'student', '0.25')})
    (folder / 'export' / 'examples').mkdir(parents=True)
    for i in range(2):
        imsave(folder / 'export' / 'examples' / f'{i}.png', np.full((4, 4, 3), 0.5))
    says = {'teacher': Prediction(0, 0.9), **({'assistant': Prediction(0, 0.8)} if method == 'AMD' else {}),
            'student': Prediction(1, 0.6)}
    Examples([Example(f'examples/{i}.png', i, says) for i in range(2)], ['cat', 'dog']).save(
        folder / 'export' / 'examples.json')
    compression = dict(student_scale=0.25, **(dict(refit=dict(num_images=768)) if has_refit else {}))
    write_run_config(Config(dict(
        data_root='some/data', compression=compression, visualizer=dict(type='Visualizer'),
        method=dict(type=f'mmamd.{method}'),
        model=dict(architecture=ARCHITECTURE, teacher='<script>alert("teacher")</script>.pth'))), folder)
    write_json(folder / 'summary.json', summary_of(stages, method, delivered, selection))
    return folder


def network_of(folder, stage, scale, file='trained'):
    candidate = make_family().at(float(scale))
    return Network(ARCHITECTURE, str(folder / stage / f'{file}.pth'), candidate.scale, candidate.kept, candidate.cost)


def summary_of(stages, method, delivered, selection):
    """As the pipeline writes it: what was chosen does on the test images by 0.1 less than on the held-out ones."""
    student = {'name': delivered, 'scale': 0.25, 'value': 0.63, 'macs': 250, 'params': 40,
               'path': 'student/student.pth'}
    selections = [] if selection is None else [{
        'stage': 'select', 'rule': selection.rule,
        'candidates': [{'name': m.key, 'scale': m.scale, 'value': m.value, 'test_value': m.value - 0.1}
                       for m in selection.measurements],
        'chosen': {'name': selection.chosen, 'scale': selection.winner.scale, 'value': selection.winner.value - 0.1}}]
    seconds = {name: value for name, (_, value) in stages.items()}
    return {
        'metric': 'accuracy/top1', 'method': method, 'teacher': {'value': 0.7, 'macs': 1000, 'params': 100},
        'selections': selections, 'student': student, 'students': [student], 'recalibration_images': 0,
        'cost': {'trainings': sum(kind == 'distil' for kind, _ in stages.values()),
                 'macs': 1e9 * sum(seconds.values()), 'seconds': sum(seconds.values())},
        'stages': {name: {'kind': kind, 'macs': 1e9 * value, 'seconds': value}
                   for name, (kind, value) in stages.items()},
        'record': {'commit': 'abc123', 'versions': {'torch': '2.12'}, 'seed': 7,
                   'command': "tools/train.py a.py --work-dir 'a & b'",
                   'images': {split: {'images': 1234, 'digest': f'digest of {split}'}
                              for split in ('train', 'val', 'test')}}}


@pytest.fixture
def work_dir(tmp_path):
    """Folder of a run of its own for each test."""
    return make_run(tmp_path / 'a run')


@pytest.fixture
def run_by(tmp_path):
    """Function that makes the folder of a run by a method."""
    return lambda method: make_run(tmp_path / f'a run by {method}', method)


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory):
    """Folder of a run to look at, with its report."""
    folder = make_run(tmp_path_factory.mktemp('finished') / 'a run')
    write_json(folder / 'export' / 'bench.json', make_bench())
    write_report(read_run(folder), folder / 'report.html')
    return folder


@pytest.fixture
def configure():
    """Function that changes keys of a run's config."""
    def change(folder, **keys):
        config = read_run_config(folder)
        config.merge_from_dict(keys)
        write_run_config(config, folder)
    return change


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
