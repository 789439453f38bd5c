"""The command line: MMPretrain's arguments, one process or several, names with spaces."""

import argparse
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config

import mmamd
from mmamd.pipeline.settings import stage_settings

TOOLS = Path(__file__).parent.parent / 'tools'
HOST_TOOLS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
TINY = Path(__file__).parent / 'test_pipeline' / 'tiny_config.py'


def load(path):
    """A script as a module, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f'{path.parent.parent.name}_{path.stem}_script', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*command, **environment):
    """Run a command of the repository; returns what it printed."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(TOOLS.parent), 'OMP_NUM_THREADS': '1',
                   'PORT': str(port), **environment}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


# --- the arguments ---

def arguments_of(script, monkeypatch):
    """Option strings -> (number of values, value of the bare option, default, choices)."""
    parsers = []
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args',
                        lambda self: parsers.append(self) or argparse.Namespace(local_rank=0, out=None, out_item=None))
    load(script).parse_args()
    return {tuple(action.option_strings) or action.dest: (action.nargs, action.const, action.default, action.choices)
            for action in parsers[0]._actions}


@pytest.mark.parametrize('name, more', [('train.py', {('--start-from',)}), ('test.py', set())])
def test_a_tool_takes_mmpretrains_arguments(name, more, monkeypatch):
    ours, hosts = (arguments_of(folder / name, monkeypatch) for folder in (TOOLS, HOST_TOOLS))
    assert ours.keys() - hosts.keys() == more
    assert {key: ours[key] for key in hosts} == hosts


def merged(monkeypatch, *arguments):
    """The config that train.py runs for these arguments."""
    train = load(TOOLS / 'train.py')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(TINY), *arguments])
    config = Config.fromfile(TINY)
    train.merge_args(config, train.parse_args())
    return config


def test_the_default_work_dir_is_named_after_the_config(monkeypatch):
    assert merged(monkeypatch).work_dir == 'work_dirs/tiny_config'
    assert merged(monkeypatch, '--work-dir', 'elsewhere').work_dir == 'elsewhere'


def test_config_options_win_over_arguments(monkeypatch):
    config = merged(monkeypatch, '--work-dir', 'a', '--cfg-options', 'work_dir=b', 'joint.train_cfg.max_epochs=7')
    assert (config.work_dir, config.joint.train_cfg.max_epochs) == ('b', 7)


def test_resume_takes_the_last_checkpoint_or_the_one_that_is_named(monkeypatch):
    config = merged(monkeypatch)
    assert not config.resume
    config = merged(monkeypatch, '--resume')
    assert (config.resume, config.load_from) == (True, None)
    config = merged(monkeypatch, '--resume', 'joint/epoch_2.pth')
    assert (config.resume, config.load_from) == (True, 'joint/epoch_2.pth')


def test_mixed_precision_and_learning_rate_scaling_reach_every_training_stage(monkeypatch):
    config = merged(monkeypatch, '--amp', '--auto-scale-lr')
    for stage in ('joint', 'student'):
        settings = stage_settings(config, stage)
        assert (settings.optim_wrapper.type, settings.auto_scale_lr.enable) == ('AmpOptimWrapper', True)


def test_without_validation_the_assistant_is_still_chosen_on_held_out_images(monkeypatch):
    config = merged(monkeypatch, '--no-validate')
    assert config.val_dataloader is not None and config.val_evaluator is not None
    assert config.joint.val_dataloader is None


def test_a_pipeline_never_gets_persistent_workers_because_they_do_not_resume_exactly(monkeypatch):
    config = merged(monkeypatch)
    assert not any(config[f'{split}_dataloader'].persistent_workers for split in ('train', 'val', 'test'))


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_a_launcher_without_its_arguments_says_how_to_use_it(script):
    done = subprocess.run(['bash', TOOLS / script, 'config.py'], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f'Usage: tools/{script} CONFIG ')


# --- the whole method from the command line ---

@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    """Folder, with spaces in its name, of a run of two processes that trains its teacher first."""
    folder = tmp_path_factory.mktemp('tools') / 'a run of two'
    # Quotes and a dollar sign that no shell on the way may touch.
    printed = run(TOOLS / 'dist_train.sh', TINY, '2', '--work-dir', folder, '--cfg-options',
                  'joint.train_cfg.max_epochs=1', 'student.train_cfg.max_epochs=1', "visualizer.name=it's$HOME")
    assert printed.count('[1/7] teacher') == 1  # the first rank speaks for both
    return folder


def test_two_processes_carry_the_config_through_all_stages(work_dir):
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert all(seconds > 0 for seconds in summary['seconds'].values())
    assert Config.fromfile(work_dir / 'run_config.py').visualizer.name == "it's$HOME"
    # Every held-out and every test image was counted once, though 37 is odd: shares of 37 and of 100.
    for candidate in summary['rounds'][0]['candidates']:
        assert candidate['value'] * 37 == pytest.approx(round(candidate['value'] * 37), abs=1e-3)
        assert candidate['test_value'] * 100 == pytest.approx(round(candidate['test_value'] * 100), abs=1e-3)
    weights = torch.load(work_dir / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert mmamd.load_student(work_dir).backbone.num_layers == 2


def test_the_exported_student_tests_as_the_summary_says(work_dir, tmp_path):
    student = work_dir / 'student'
    run(sys.executable, TOOLS / 'test.py', student / 'config.py', student / 'student.pth',
        '--work-dir', tmp_path / 'one process', '--out', tmp_path / 'the metrics.json', '--out-item', 'metrics')
    run(TOOLS / 'dist_test.sh', student / 'config.py', student / 'student.pth', '2',
        '--work-dir', tmp_path / 'two processes', '--out', tmp_path / 'two.json', '--out-item', 'metrics')
    expected = json.loads((work_dir / 'summary.json').read_text())['student']['value']
    assert json.loads((tmp_path / 'the metrics.json').read_text())['accuracy/top1'] / 100 == pytest.approx(expected)
    assert json.loads((tmp_path / 'two.json').read_text())['accuracy/top1'] / 100 == pytest.approx(expected)
