"""What a run does when a part of it dies: a worker of its data loader, or one of several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def config(tiny_config, tmp_path):
    """Function that writes the tiny config, with a death in its first training, into a file."""
    def write(victim):
        cfg = tiny_config()
        cfg.custom_imports = dict(imports=['death_hook'])
        cfg.custom_hooks.append(dict(type='DeathHook', victim=victim))
        cfg.dump(tmp_path / 'config.py')
        return tmp_path / 'config.py'

    return write


@pytest.mark.slow
def test_a_run_whose_worker_dies_says_so_and_continues_to_the_same_end(start, outcome, config, finished_run, tmp_path):
    assert start(config('worker'), tmp_path / 'run') == 1
    assert 'DataLoader worker' in (printed := (tmp_path / 'run.log').read_text()) and 'killed by signal' in printed
    assert (tmp_path / 'run' / 'died').read_text() == 'joint' and not (tmp_path / 'run' / 'select').exists()
    assert start(tmp_path / 'config.py', tmp_path / 'run') == 0
    assert 'joint was interrupted; it continues' in (tmp_path / 'run.log').read_text()
    assert outcome(tmp_path / 'run') == outcome(finished_run[0])


@pytest.mark.slow
def test_a_job_whose_process_dies_is_restarted_and_continues_to_the_same_end(start, outcome, config, tiny_config,
                                                                            tmp_path):
    tiny_config().dump(tmp_path / 'uninterrupted.py')
    assert start(tmp_path / 'uninterrupted.py', tmp_path / 'uninterrupted', ranks=2) == 0
    done = subprocess.run(
        ['bash', ROOT / 'tools' / 'dist_train.sh', config('rank'), '2', '--work-dir', tmp_path / 'run'], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400, env={
            **os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': f'{ROOT}{os.pathsep}{HERE}', 'OMP_NUM_THREADS': '1',
            'PORT': str(free_port()), 'MAX_RESTARTS': '1'})
    assert done.returncode == 0, done.stdout[-4000:]
    assert (tmp_path / 'run' / 'died').read_text() == 'joint'
    assert 'joint was interrupted; it continues' in done.stdout
    assert outcome(tmp_path / 'run') == outcome(tmp_path / 'uninterrupted')
