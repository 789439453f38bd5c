"""What a run is doing can be read from its files: while it runs, when it was killed, and afterwards."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import mmamd
from mmamd.pipeline.findings import finding_lines
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import SILENT_SECONDS, StatusFile, format_status, read_status

PLAN = {'score': 1., 'joint': 3.}
# A run that is in the middle of its stage joint until somebody ends it.
HANGS = """
import sys, time
from pathlib import Path
from mmamd.pipeline.findings import finding_lines
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.state import RunState
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import StatusFile
folder = Path(sys.argv[1])
RunState(folder).save()
with StatusFile(folder) as file:
    progress = Progress({'score': 1., 'joint': 3.}, [file])
    progress.skip('score', 61.)
    progress.start('joint')
    print('ready', flush=True)
    time.sleep(600)
"""


@pytest.fixture
def work_dir(tmp_path):
    """A folder with a quote and a space in its name."""
    folder = tmp_path / "it's a run"
    folder.mkdir()
    (folder / 'stages.json').write_text('{"format": 2, "seed": 0, "stages": {}}')
    return folder


def write(folder, **changes):
    """Change what a run has written of itself."""
    path = folder / 'progress.json'
    content = json.loads(path.read_text())
    process = content['process'] | changes.pop('process', {})
    path.write_text(json.dumps(content | {'process': process} | changes))


def run_to_the_middle(folder):
    file = StatusFile(folder)
    progress = Progress(PLAN, [file])
    progress.start('score')
    progress.finish('score')
    progress.start('joint')
    return file, progress


def test_a_process_that_lives_is_running_and_says_where(work_dir):
    run_to_the_middle(work_dir)
    status = read_status(work_dir)
    assert (status.state, status.host, status.pid) == ('running', socket.gethostname(), os.getpid())
    assert status.snapshot.running.name == 'joint'
    assert f'running, process {os.getpid()} on ' in format_status(work_dir)


def test_updates_are_written_every_few_seconds_and_ends_of_stages_at_once(work_dir):
    now = [0.]
    file = StatusFile(work_dir, clock=lambda: now[0])
    progress = Progress(PLAN, [file], clock=lambda: now[0])
    progress.start('joint')
    written = []
    for _ in range(100):
        now[0] += 0.5
        progress.update('joint', now[0] / 100)
        written.append(read_status(work_dir, now=now[0]).snapshot.stages[1].fraction)
    assert 12 <= len(set(written)) <= 18  # 50 s: every three, told once a second
    progress.finish('joint')
    assert read_status(work_dir).snapshot.stages[1].state == 'finished'


def test_a_finished_run_says_so(work_dir):
    file, progress = run_to_the_middle(work_dir)
    with file:
        progress.finish('joint')
    assert read_status(work_dir).state == 'finished'


def test_a_run_that_failed_says_with_what(work_dir):
    file, _ = run_to_the_middle(work_dir)
    with pytest.raises(ValueError), file:
        raise ValueError('the loss is nan')
    assert read_status(work_dir).state == 'failed'
    text = format_status(work_dir)
    assert '(ValueError: the loss is nan); give its command again' in text
    assert [line.split()[:2] for line in text.splitlines() if line.startswith('joint')] == [['joint', 'interrupted']]


def test_a_run_that_was_stopped_from_the_keyboard_was_interrupted(work_dir):
    file, _ = run_to_the_middle(work_dir)
    with pytest.raises(KeyboardInterrupt), file:
        raise KeyboardInterrupt
    assert read_status(work_dir).state == 'interrupted'


def test_a_run_that_was_killed_is_interrupted_and_no_longer_running(work_dir):
    process = subprocess.Popen([sys.executable, '-c', HANGS, work_dir], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    assert read_status(work_dir).state == 'running'
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_status(work_dir).state == 'interrupted'
    text = format_status(work_dir)
    assert 'interrupted 0:00:0' in text
    assert [line.split() for line in text.splitlines() if line.startswith(('score', 'joint'))] == [
        ['score', 'finished', '100%', '0:01:01'], ['joint', 'interrupted', '0%', '0:00:00']]


def test_another_process_of_the_same_number_is_not_the_run(work_dir):
    run_to_the_middle(work_dir)
    write(work_dir, process={'born': '1'})
    assert read_status(work_dir).state == 'interrupted'


def test_a_process_on_another_host_is_judged_by_when_it_last_wrote(work_dir):
    run_to_the_middle(work_dir)
    write(work_dir, process={'host': 'node17'}, written=1000.)
    assert read_status(work_dir, now=1000. + SILENT_SECONDS).state == 'running'
    assert read_status(work_dir, now=1001. + SILENT_SECONDS).state == 'silent'
    assert 'on node17: probably interrupted' in format_status(work_dir)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no progress.json: no run'):
        format_status(tmp_path)


def test_the_status_of_a_finished_run_tells_what_it_found(finished_run):
    work_dir, summary = finished_run
    status = read_status(work_dir)
    assert status.state == 'finished'
    assert [stage.name for stage in status.snapshot.stages] == ['score', 'nest', 'joint', 'select', 'student', 'export']
    assert status.snapshot.fraction == pytest.approx(1)
    text = format_status(work_dir)
    for candidate in summary['selections'][0]['candidates']:
        assert f'{candidate["scale"]:.2f} {100 * candidate["value"]:.2f} +- ' in text
    assert f'chosen: {summary["selections"][0]["chosen"]["name"]} by the rule npsd' in text
    assert f'student {100 * summary["student"]["value"]:.2f}' in text
    assert 'student, last losses: 0.30 ' in text
    assert re.search(rf'; teacher {100 * summary["selections"][0]["reference"]["value"]:.2f} \+- ', text)


def test_what_several_students_choose_by_is_told_once(finished_run, tmp_path):
    """Choices among the same candidates have the same table; each has its own outcome."""
    state = RunState(shutil.copytree(finished_run[0], tmp_path / 'run'))
    shutil.copytree(tmp_path / 'run' / 'select', tmp_path / 'run' / 'select_0.10')
    state.content['stages']['select_0.10'] = state.content['stages']['select']
    lines = finding_lines(state)
    assert sum(', held out in percent: ' in line for line in lines) == 1
    assert [line.partition(',')[0] for line in lines if ', chosen: ' in line] == ['select', 'select_0.10']


def test_a_run_that_is_refused_leaves_the_status_of_the_one_before(finished_run, tiny_config, contents):
    work_dir, _ = finished_run
    before = contents(work_dir)
    with pytest.raises(ValueError, match='there is no such stage'):
        mmamd.compress(tiny_config(), work_dir=work_dir, start_from='dinner')
    assert contents(work_dir) == before
