"""Images that what leaves a run is calibrated and judged on are the run's own."""

import shutil

import pytest
import torch

import mmamd
from mmamd.export import compare
from mmamd.files.run_config import read_run_config
from mmamd.pipeline.finished_run import as_its_run
from mmamd.pipeline.samples import samples_of


def test_the_test_images_are_those_of_the_summary_and_the_training_images_are_not_held_out(finished_run):
    work_dir, summary = finished_run
    cfg = read_run_config(work_dir)
    student = mmamd.load_student(work_dir)
    with as_its_run(cfg):
        samples = samples_of(cfg, work_dir, student)
        found = compare(student, student, samples.test())
        calibration = torch.cat(list(samples.calibration()))
    assert (found.num_images, found.value) == (100, pytest.approx(summary['student']['value']))
    assert (found.value, found.stderr, found.difference) == (found.reference, 0., 0.)
    assert calibration.shape == (163, 3, 8, 8) and calibration.abs().max() < 3  # normalised


def test_names_of_classes_are_in_all_that_the_run_leaves(finished_run):
    work_dir, _ = finished_run
    names = [str(digit) for digit in range(10)]
    assert read_run_config(work_dir).class_names == names
    assert torch.load(work_dir / 'student' / 'student.pth', weights_only=True)['meta'] == {
        'dataset_meta': {'classes': names}}
    assert "class_names = [\n    '0',\n" in (work_dir / 'student' / 'config.py').read_text()
    assert b'"[\\"0\\", \\"1\\"' in (work_dir / 'student' / 'student.safetensors').read_bytes()
    assert b'["0", "1"' in (work_dir / 'student' / 'model.onnx').read_bytes()


def test_names_for_other_outputs_are_refused_before_anything_is_written(tiny_config, tmp_path):
    with pytest.raises(ValueError, match='class_names must be one name for each of the 10 outputs of the head, got 2; '
                                         'leave it out'):
        mmamd.compress(tiny_config(class_names=['one', 'two']), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_integers_are_made_of_a_run_alone(finished_run, tmp_path):
    run = shutil.copytree(finished_run[0], tmp_path / 'run')
    written, = mmamd.export_model(run, ['int8-dynamic'])
    assert written.comparison.num_images == 100
    assert sorted(path.name for path in written.files) == ['model_int8_dynamic.onnx', 'predict.py']
