"""A run that is killed and continued ends where an uninterrupted one does, bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def train(config, work_dir, *arguments, kill_in=''):
    """Run tools/train.py in a process of its own; returns its exit code and what it printed."""
    # The last bits of a sum depend on the number of threads; the uninterrupted run has those of this process.
    environment = {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads()),
                   'PYTHONPATH': f'{ROOT}{os.pathsep}{HERE}', 'KILL_IN': kill_in}
    # To a file: the workers of a killed process hold a pipe open until they notice.
    printed = config.with_suffix('.txt')
    with open(printed, 'w') as out:
        done = subprocess.run([sys.executable, ROOT / 'tools' / 'train.py', config, '--work-dir', work_dir, *arguments],
                              env=environment, stdout=out, stderr=subprocess.STDOUT, timeout=300)
    return done.returncode, printed.read_text()


def finished_when_killed_in(stage, code, printed, work_dir):
    assert code == -signal.SIGKILL, printed[-2000:]
    assert (work_dir / stage / 'epoch_1.pth').exists()
    assert not (work_dir / stage / 'epoch_2.pth').exists()
    finished = [name for name, entry in json.loads((work_dir / 'stages.json').read_text())['stages'].items()
                if entry['finished']]
    assert stage not in finished
    return finished


def assert_same_weights(path, other):
    ours, theirs = (torch.load(file, weights_only=True)['state_dict'] for file in (path, other))
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


def test_a_run_killed_in_two_stages_and_moved_equals_an_uninterrupted_one(finished_run, teacher, tmp_path):
    config = tmp_path / 'killed.py'
    config.write_text(f"""
_base_ = [{str(HERE / 'tiny_config.py')!r}]
custom_imports = dict(imports=['kill_hook'])
model = dict(teacher={str(teacher)!r})
custom_hooks = [*_base_.custom_hooks, dict(type='KillHook')]
""")
    uninterrupted, _ = finished_run
    first, second, third = (tmp_path / name / 'run' for name in ('first', 'second', 'third'))

    code, printed = train(config, first, kill_in='joint')
    assert finished_when_killed_in('joint', code, printed, first) == ['score', 'nest']

    shutil.move(first.parent, second.parent)
    code, printed = train(config, second, '--resume', kill_in='student')
    assert 'joint was interrupted; it continues' in printed
    assert finished_when_killed_in('student', code, printed, second) == ['score', 'nest', 'joint', 'select']
    assert_same_weights(second / 'joint' / 'shared.pth', uninterrupted / 'joint' / 'shared.pth')
    assert (second / 'select' / 'selection.json').read_text() == \
        (uninterrupted / 'select' / 'selection.json').read_text()

    shutil.move(second.parent, third.parent)
    code, printed = train(config, third, '--resume')
    assert code == 0, printed[-2000:]
    assert 'joint: finished before, skipped' in printed
    assert_same_weights(third / 'student' / 'student.pth', uninterrupted / 'student' / 'student.pth')
