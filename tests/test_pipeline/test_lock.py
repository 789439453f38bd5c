"""A work_dir is one run's at a time; who holds it is said, and what a dead process has left is taken over."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

import mmamd
from mmamd.pipeline import lock
from mmamd.pipeline.lock import FILE, WorkDirLock, WorkDirTaken
from mmamd.pipeline.status import SILENT_SECONDS, birth

HOLDS = """
import sys, time
from pathlib import Path
from mmamd.pipeline.lock import WorkDirLock
with WorkDirLock(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(600)
"""
REMEDY = 'If there is no such run any more, remove '


def leave(folder, **holder):
    """A lock as another process left it."""
    folder.mkdir(parents=True, exist_ok=True)
    pid = os.getpid()
    (folder / FILE).write_text(json.dumps(
        {'host': socket.gethostname(), 'pid': pid, 'born': birth(pid), 'started': 1000.} | holder))


def test_it_says_who_holds_the_folder_while_it_is_held_and_leaves_nothing(tmp_path):
    with WorkDirLock(tmp_path / 'new' / 'run', clock=lambda: 5.):
        held = json.loads((tmp_path / 'new' / 'run' / FILE).read_text())
        assert held == {'host': socket.gethostname(), 'pid': os.getpid(), 'born': birth(os.getpid()), 'started': 5.}
    assert list((tmp_path / 'new' / 'run').iterdir()) == []


def test_it_is_released_when_the_run_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), WorkDirLock(tmp_path):
        raise KeyboardInterrupt
    assert not (tmp_path / FILE).exists()


def test_a_second_one_is_refused_with_who_holds_it_and_what_to_do(tmp_path):
    with WorkDirLock(tmp_path):
        before = (tmp_path / FILE).read_text()
        for refused in (WorkDirLock(tmp_path).__enter__, WorkDirLock(tmp_path).check):
            with pytest.raises(WorkDirTaken, match=rf'is being run by process {os.getpid()} on {socket.gethostname()}, '
                                                   rf'since 20\d\d-.*; stop it.*{REMEDY}{tmp_path / FILE}'):
                refused()
        assert (tmp_path / FILE).read_text() == before
    WorkDirLock(tmp_path).check()


def test_what_a_killed_process_has_left_is_taken_over_with_a_word(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', HOLDS, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'held\n'
    with pytest.raises(WorkDirTaken, match=f'by process {process.pid} on'):
        WorkDirLock(tmp_path).check()
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie, which its parent has not asked after
    said = []
    with WorkDirLock(tmp_path, said.append):
        assert json.loads((tmp_path / FILE).read_text())['pid'] == os.getpid()
    process.wait()
    assert said == [f'{tmp_path}: taken over from process {process.pid} on {socket.gethostname()}, which is gone']
    assert list(tmp_path.iterdir()) == []


def test_another_process_of_the_same_number_is_not_the_holder(tmp_path):
    leave(tmp_path, born='1')
    with WorkDirLock(tmp_path):
        pass


def test_of_another_host_it_is_refused_until_the_run_there_has_long_been_silent(tmp_path):
    leave(tmp_path, host='node17')
    for written, now, is_taken in ((None, 1000. + SILENT_SECONDS, True), (None, 1001. + SILENT_SECONDS, False),
                                   (3000., 3000. + SILENT_SECONDS, True), (3000., 3001. + SILENT_SECONDS, False),
                                   (500., 1000. + SILENT_SECONDS, True)):
        if written is not None:
            (tmp_path / 'progress.json').write_text(json.dumps({'written': written}))
        check = WorkDirLock(tmp_path, clock=lambda now=now: now).check
        if is_taken:
            with pytest.raises(WorkDirTaken, match=f'by process {os.getpid()} on node17, since .*{REMEDY}'):
                check()
        else:
            check()


@pytest.mark.parametrize('content', ['', '{', '[]', '{"host": "here"}'])
def test_a_file_that_does_not_say_who_is_refused_with_what_to_remove(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(WorkDirTaken, match=f'does not say who runs in .*{REMEDY}{tmp_path / FILE}'):
        WorkDirLock(tmp_path).__enter__()
    assert (tmp_path / FILE).read_text() == content


def test_of_many_that_find_it_stale_one_gets_it(tmp_path):
    leave(tmp_path, born='1')
    together, release, found = threading.Barrier(8), threading.Event(), []

    def note(outcome):
        found.append(outcome)
        if len(found) == 8:  # also where the one that has it is the last to say so
            release.set()

    def take():
        together.wait()
        try:
            with WorkDirLock(tmp_path, lambda _: None):
                note('held')
                release.wait(60)
        except WorkDirTaken:
            note('refused')

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ['held'] + 7 * ['refused']


def test_a_lock_that_was_taken_over_is_not_released_by_the_one_before(tmp_path):
    with WorkDirLock(tmp_path):
        leave(tmp_path, pid=1)
    assert json.loads((tmp_path / FILE).read_text())['pid'] == 1


# --- of a run ---

@pytest.mark.parametrize('more', [{}, {'start_from': 'joint'}, {'resume': True}])
def test_a_run_under_a_living_one_is_refused_and_deletes_nothing(finished_run, tiny_config, contents, more):
    work_dir, _ = finished_run
    with WorkDirLock(work_dir):
        before = contents(work_dir)
        with pytest.raises(WorkDirTaken, match=f'is being run by process {os.getpid()} on'):
            mmamd.compress(tiny_config(), work_dir=work_dir, **more)
        assert contents(work_dir) == before


def test_a_run_that_finished_while_another_was_checked_is_not_overwritten(tiny_config, tmp_path, monkeypatch):
    config = tiny_config(**{'randomness.seed': 0})

    class Late(WorkDirLock):
        """Another run has come and gone before it is taken."""

        def __enter__(self):
            (tmp_path / 'stages.json').write_text('{"format": 2, "seed": 7, "stages": {}}')
            return super().__enter__()

    monkeypatch.setattr('mmamd.pipeline.runner.WorkDirLock', Late)
    with pytest.raises(WorkDirTaken, match='another run has changed .* give the command again'):
        mmamd.compress(config, work_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['stages.json']


def test_what_the_first_rank_refuses_every_rank_raises(monkeypatch):
    """The second rank, which is told of the first one's error."""
    def broadcast(found):
        found[0] = WorkDirTaken('held by another')

    monkeypatch.setattr(lock, 'is_main_process', lambda: False)
    monkeypatch.setattr(lock, 'broadcast_object_list', broadcast)
    with pytest.raises(WorkDirTaken, match='held by another'):
        lock.on_first_rank(lambda: pytest.fail('the second rank must not try'))
