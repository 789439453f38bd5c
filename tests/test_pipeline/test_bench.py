"""Networks of a run are timed by each runtime; how long they take is nobody's to assert."""

import json
import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch

import mmamd
from mmamd.files.run_config import read_run_config
from mmamd.pipeline import bench
from mmamd.pipeline.finished_run import as_its_run
from mmamd.pipeline.samples import samples_of
from mmamd.weights.networks import build_network, find_network


@pytest.fixture(scope='module')
def timed(finished_run, tmp_path_factory):
    """(work_dir, what was found) of a copy of the finished run; the report, which is drawn elsewhere, says so."""
    run = shutil.copytree(finished_run[0], tmp_path_factory.mktemp('bench') / 'run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, 'write_report', lambda run, path: path.write_text(f'drawn of {run.bench}'))
        return run, mmamd.bench(run, [1, 2], threads=1, seconds=0.)


def test_every_network_is_timed_by_every_runtime_at_every_batch(timed):
    run, found = timed
    assert [(row['network'], row['runtime'], row['precision']) for row in found['networks']] == [
        (name, *way) for name in ('teacher', 'assistant', 'student')
        for way in (('torch', 'float32'), ('ONNX Runtime', 'float32'))] + [('student', 'ONNX Runtime', 'int8')]
    for row in found['networks']:
        assert [timing['batch'] for timing in row['timings']] == [1, 2]
        assert all(0 < timing['low'] <= timing['median'] <= timing['high'] for timing in row['timings'])
    sizes = {(row['network'], row['runtime']): row['bytes'] for row in found['networks'] if row['precision'] != 'int8'}
    assert sizes['student', 'torch'] < sizes['assistant', 'torch'] < sizes['teacher', 'torch']
    assert (found['device'], found['threads']) == ('cpu', 1) and found['versions']['torch'] == torch.__version__
    assert json.loads((run / 'export' / 'bench.json').read_text()) == found


def test_what_integers_lose_is_said_in_the_table_and_in_the_report(timed):
    run, found = timed
    comparison = found['networks'][-1]['comparison']
    assert comparison['num_images'] == 100
    sentence, = (text for text in found['notes'] + found['warnings'] if 'int8' in text)
    assert f'{100 * comparison["value"]:.2f} % of 100 test images right' in sentence
    table = bench.format_bench(found)
    rows = [line for line in table.splitlines() if line.startswith(('network', 'teacher', 'assistant', 'student'))]
    assert sentence in table and len(rows) == 1 + 7 * 2 and max(map(len, rows)) <= 80
    assert (run / 'report.html').read_text() == f'drawn of {found}'


def test_integers_of_a_student_with_a_preprocessor_of_its_own_are_held_to_images_that_it_makes(
        finished_run, digits, monkeypatch):
    work_dir, (images, labels) = finished_run[0], digits('test')
    cfg, student, calibrated = read_run_config(work_dir), find_network(work_dir, 'student'), []
    student = replace(student, architecture={
        **student.architecture, 'data_preprocessor': dict(num_classes=10, mean=[255.] * 3, std=[30.] * 3)})
    quantise = bench.quantise

    def looking(path, out, calibration):
        calibrated.extend(calibration)
        quantise(path, out, calibrated)

    monkeypatch.setattr(bench, 'quantise', looking)
    clock = bench._Clock([1], 1, torch.device('cpu'), 0., (3, 8, 8))
    with as_its_run(cfg):
        *_, row = bench._measure(clock, 'student', student, cfg, partial(samples_of, cfg, work_dir), {})
        with torch.no_grad():
            right, otherwise = ((build_network(student)(each).argmax(1) == labels).double().mean().item()
                                for each in ((images * 95.9 + 77.8 - 255) / 30, images))
    assert row['comparison']['reference'] == pytest.approx(right) != pytest.approx(otherwise)
    pixels = torch.cat(calibrated)
    assert pixels.min() == -8.5 and pixels.max() <= 0  # 0 and 255


def test_a_run_whose_student_is_not_there_is_refused(timed, tmp_path):
    run = shutil.copytree(timed[0], tmp_path / 'run')
    state = json.loads((run / 'stages.json').read_text())
    state['stages']['export']['finished'] = False
    (run / 'stages.json').write_text(json.dumps(state))
    with pytest.raises(FileNotFoundError, match='has not delivered its student, so there is none to time; finish the'):
        mmamd.bench(run)


@pytest.mark.parametrize('options, match', [
    (dict(batch_sizes=[]), r'batch_sizes must be a list of positive integers, got \[\]'),
    (dict(batch_sizes=[1, 0]), 'batch_sizes must be'), (dict(threads=0), 'threads must be a positive integer or None'),
    (dict(device='tpu0'), "device must be the name of a device of torch, got 'tpu0'")])
def test_what_is_no_way_to_time_is_refused(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        mmamd.bench(tmp_path, **options)


def test_threads_are_given_back(timed):
    before = torch.get_num_threads()
    with bench._threads(before + 1) as threads:
        assert threads == torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
