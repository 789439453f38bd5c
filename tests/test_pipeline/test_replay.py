"""Another rule is a replay of the stored table, and what follows from the choice is redone by the command it prints."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmamd
from mmamd.pipeline.lock import WorkDirLock, WorkDirTaken
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.replay import format_replay, redo_command, replay_stage, write_replay
from mmamd.pipeline.status import StatusFile
from mmamd.structures import Selection

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work_dir(finished_run, tmp_path):
    """A copy of a finished run, in a folder whose name no shell may touch."""
    folder = tmp_path / 'it\'s a "copy" of $HOME'
    shutil.copytree(finished_run[0], folder)
    return folder


def other(work_dir):
    """The eligible scale that the run has not chosen."""
    chosen = Selection.load(work_dir / 'select' / 'selection.json').winner.scale
    return {0.5: 0.75, 0.75: 0.5}[chosen]


def test_a_replay_writes_nothing_unless_it_is_told_to(work_dir, contents):
    before = contents(work_dir)
    found = replay_stage(work_dir, 'manual', scale=other(work_dir))
    text = format_replay(found, written=False)
    assert f'would be {other(work_dir):.2f} (manual); nothing was written' in text
    assert '<- chosen' in text
    assert contents(work_dir) == before


def test_a_rule_that_chooses_the_same_has_nothing_to_change(work_dir):
    chosen = Selection.load(work_dir / 'select' / 'selection.json').winner.scale
    found = replay_stage(work_dir, 'manual', scale=chosen)
    assert found.is_same
    assert f'manual chooses {chosen:.2f}, as npsd did; nothing to change' in format_replay(found, written=False)


@pytest.mark.slow
def test_a_written_choice_refuses_the_old_student_until_the_printed_command_redoes_it(work_dir, tiny_config, contents):
    scale = other(work_dir)
    picture = (work_dir / 'select' / 'selection.png').read_bytes()
    found = replay_stage(work_dir, 'manual', scale=scale)
    write_replay(found)
    assert Selection.load(work_dir / 'select' / 'selection.json') == found.after
    assert (work_dir / 'select' / 'selection.png').read_bytes() != picture
    with pytest.raises(ValueError, match="stage 'student'.*changed since: network select. "
                                         'Redo it with --start-from student'):
        mmamd.compress(tiny_config(), work_dir=work_dir)

    before = contents(work_dir)
    text = format_replay(found, written=True)
    command = text.splitlines()[-1].strip()
    assert command == redo_command(found)
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'PYTHONPATH': str(ROOT),
                   'OMP_NUM_THREADS': '1'}
    done = subprocess.run(['bash', '-c', command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['selections'][0]['chosen']['scale'] == scale
    after = contents(work_dir)
    for stage in ('score', 'nest', 'joint', 'select'):
        assert f'{stage}: finished before, skipped' in done.stdout
        assert {path: at for path, at in after.items() if path.parts[0] == stage} == \
            {path: at for path, at in before.items() if path.parts[0] == stage}
    assert after[Path('student/student.pth')] != before[Path('student/student.pth')]
    # The run is whole again: the same command without --start-from has nothing to do.
    assert mmamd.compress(tiny_config(), work_dir=work_dir)['selections'] == summary['selections']


def test_a_run_that_is_going_on_keeps_its_choice(work_dir, contents):
    with WorkDirLock(work_dir):
        before = contents(work_dir)
        with pytest.raises(WorkDirTaken, match=f'is being run by process {os.getpid()} on'):
            write_replay(replay_stage(work_dir, 'manual', scale=other(work_dir)))
        assert contents(work_dir) == before


def test_after_an_earlier_selection_the_next_joint_stage_is_redone(work_dir):
    with StatusFile(work_dir) as file:
        progress = Progress(dict.fromkeys(('joint', 'select', 'joint_2', 'select_2', 'student', 'export'), 1.), [file])
        progress.start('joint')
    assert redo_command(replay_stage(work_dir, 'npsd')).endswith('--start-from joint_2')


def test_a_run_of_several_processes_is_redone_by_as_many(work_dir):
    path = work_dir / 'progress.json'
    content = json.loads(path.read_text())
    content['process']['world_size'] = 4
    path.write_text(json.dumps(content))
    command = redo_command(replay_stage(work_dir, 'npsd'))
    assert command.startswith('tools/dist_train.sh ') and " 4 --work-dir '" in command


@pytest.mark.parametrize('arguments, error, message', [
    (dict(rule='npsd', number=2), FileNotFoundError, r"no finished selection number 2 .*selections: \['select'\]"),
    (dict(rule='dice'), ValueError, "unknown rule 'dice'; expected one of npsd, "),
    (dict(rule='manual', scale=0.6), ValueError, r'got scale=0.6; expected .* one of the eligible scales'),
    (dict(rule='npsd', scale=0.5), ValueError, "read by rule='manual' alone")])
def test_a_replay_that_cannot_be_is_refused(work_dir, arguments, error, message):
    with pytest.raises(error, match=message):
        replay_stage(work_dir, **arguments)
