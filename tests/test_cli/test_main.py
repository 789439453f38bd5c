"""The command ``mmamd`` finds its sub-commands, says in one line what is wrong, and loads no more than it needs."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from mmamd.cli import main as module
from mmamd.cli.main import COMMANDS
from mmamd.cli.predict import read

ROOT = Path(__file__).resolve().parents[2]


def test_every_sub_command_is_a_file_with_arguments_and_something_to_run():
    for name in COMMANDS:
        found = import_module(f'mmamd.cli.{name}')
        assert callable(found.add_arguments) and callable(found.run)


def test_without_a_command_all_are_listed(mmamd_command):
    status, out, _ = mmamd_command('--help')
    assert status == 0 and all(f'    {name} ' in out for name in COMMANDS)
    assert mmamd_command()[0] == 2


def test_what_is_wrong_is_said_in_one_line_and_with_the_trace_where_that_is_asked_for(mmamd_command, tmp_path):
    status, out, error = mmamd_command('status', tmp_path)
    assert (status, out) == (1, '') and error.startswith('mmamd status: ') and error.count('\n') == 1
    with pytest.raises(FileNotFoundError):
        mmamd_command('status', tmp_path, '--traceback')


def test_an_error_of_ours_ends_with_its_own_status(mmamd_command, monkeypatch):
    from mmamd.pipeline import TrainingDiverged

    def diverge(_):
        raise TrainingDiverged('the loss is nan')

    monkeypatch.setattr(import_module('mmamd.cli.status'), 'run', diverge)
    assert mmamd_command('status', 'anywhere')[0] == 3
    assert module.EXPECTED


def test_of_several_students_the_one_that_is_meant_predicts(mmamd_command, monkeypatch, tmp_path):
    def load(work_dir, device, scale):
        raise ValueError(f'asked for {work_dir} at {scale}')

    monkeypatch.setattr('mmamd.cli.predict.load_student', load)
    (tmp_path / 'a.png').touch()
    assert 'asked for run at 0.1\n' in mmamd_command('predict', 'run', tmp_path, '--scale', '0.1')[2]
    assert 'asked for run at None\n' in mmamd_command('predict', 'run', tmp_path)[2]


def test_a_damaged_image_is_named_and_left_out(tmp_path, capsys):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose([dict(type='LoadImageFromFile'), dict(type='PackInputs')])
    (tmp_path / 'bad.png').write_bytes(b'no picture')
    Image.new('RGB', (4, 3)).save(tmp_path / 'good.png')
    assert read(pipeline, tmp_path / 'bad.png') is None
    assert 'bad.png cannot be read: ' in capsys.readouterr().err
    assert read(pipeline, tmp_path / 'good.png')['inputs'].shape == (3, 3, 4)


def test_a_status_loads_neither_torch_nor_the_host_nor_matplotlib(finished_run):
    code = ('import sys; from mmamd.cli.main import main; main(["status", sys.argv[1]])\n'
            'print(sorted({"torch", "mmengine", "mmpretrain", "matplotlib", "rich"} & sys.modules.keys() - {"rich"}))')
    done = subprocess.run([sys.executable, '-c', code, finished_run[0]], env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == '[]', done.stderr
    assert 'finished' in done.stdout.splitlines()[0]
