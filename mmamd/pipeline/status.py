"""What a run is doing, told by its files: ``progress.json``, which the first rank keeps, and what its stages left.

Reading needs neither torch nor the host, so that a look at a run takes no longer than the look.
"""

import errno
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from mmamd.files.json_file import read_json, write_json
from mmamd.pipeline.findings import finding_lines
from mmamd.pipeline.outputs import damage
from mmamd.pipeline.progress import Snapshot, StageProgress, duration
from mmamd.pipeline.progress_display import progress_line
from mmamd.pipeline.state import RunState

WRITE_SECONDS = 3.
# Of a process on another host nothing else is known. Opening a large data set over a network takes minutes.
SILENT_SECONDS = 600.
FULL = 1 << 20  # bytes: a disk with less has no place for a checkpoint


class StatusFile:
    """The file ``progress.json`` of a work_dir: a listener of ``Progress``, open as long as the stages run.

    It says who runs, how far the run is, when this was written, and how the run ended if it could still say so.
    """

    def __init__(self, work_dir: Path, clock: Callable[[], float] = time.time) -> None:
        from mmengine.dist import get_world_size
        self._path = work_dir / 'progress.json'
        self._clock = clock
        self._content = {'state': 'running', 'error': None, 'written': 0., 'process': {
            'host': socket.gethostname(), 'pid': os.getpid(), 'born': birth(os.getpid()),
            'world_size': get_world_size()}}

    def __enter__(self) -> 'StatusFile':
        return self

    def __call__(self, snapshot: Snapshot, note: str | None) -> None:
        self._content['snapshot'] = asdict(snapshot)
        if note is not None or self._clock() - self._content['written'] >= WRITE_SECONDS:
            self._write()

    def __exit__(self, _type, error: BaseException | None, _traceback) -> None:
        if error is None:
            self._content['state'] = 'finished'
        elif isinstance(error, KeyboardInterrupt):
            self._content['state'] = 'interrupted'
        else:
            self._content.update(state='failed', error=f'{type(error).__name__}: {error}{self._full_disk(error)}')
        try:
            self._write()
        except OSError as unwritten:
            if error is None:
                raise
            self._write_in_place(unwritten)

    def _full_disk(self, error: BaseException) -> str:
        """What to say of a disk that is full, which torch reports as an error of its own."""
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not is_full and shutil.disk_usage(self._path.parent).free >= FULL:
            return ''
        return f' (the disk of {self._path.parent} is full; free some of it)'

    def _write_in_place(self, unwritten: OSError) -> None:
        """Say how a run ended where no new file can be written; the error that ended it stays the one that is raised.

        The blocks of the file that is there are used again.
        """
        try:
            with open(self._path, 'r+') as file:
                file.write(json.dumps(self._content, indent=1) + '\n')
                file.truncate()
        except OSError:
            from mmengine.logging import print_log
            print_log(f'{self._path} could not be written: {unwritten}', 'current', logging.ERROR)

    def _write(self) -> None:
        self._content['written'] = self._clock()
        write_json(self._path, self._content)


@dataclass(frozen=True)
class Status:
    """What is known of a run.

    Attributes:
        state: ``'running'``, ``'finished'``, ``'failed'``, ``'interrupted'`` (its process is gone, or said so), or
            ``'silent'`` (a process on another host that has not written for ten minutes).
        host, pid: Where the run's first rank ran last.
        world_size: Number of its processes.
        age: Seconds since it last wrote.
        error: What it failed with.
        snapshot: How far it was.
    """

    state: str
    host: str
    pid: int
    world_size: int
    age: float
    error: str | None
    snapshot: Snapshot


def read_status(work_dir: str | Path, now: float | None = None) -> Status:
    """Status of the run of a work_dir.

    Raises:
        FileNotFoundError: If no run of the pipeline has begun its stages there.
    """
    path = Path(work_dir) / 'progress.json'
    if not path.is_file():
        raise FileNotFoundError(f'{work_dir} holds no progress.json: no run of mmamd.MultiStepRunner has begun its '
                                'stages there; give the --work-dir of one')
    return read_json(path, partial(_status_of, time.time() if now is None else now))


def _status_of(now: float, content: dict) -> Status:
    process, age = content['process'], now - content['written']
    snapshot = {**content['snapshot'], 'stages': [StageProgress(**stage) for stage in content['snapshot']['stages']]}
    return Status(_state(content['state'], process, age), process['host'], process['pid'], process['world_size'], age,
                  content['error'], Snapshot(**snapshot))


def _state(written: str, process: dict, age: float) -> str:
    """The state as it was written, unless the process is no longer there to write another."""
    if written != 'running':
        return written
    if process['host'] != socket.gethostname():
        return 'silent' if age > SILENT_SECONDS else 'running'
    return 'running' if is_alive(process['pid'], process['born']) else 'interrupted'


def last_written(work_dir: Path) -> float | None:
    """When the latest run of a work_dir last wrote, in seconds since the epoch; None if that cannot be read."""
    try:
        return float(json.loads((work_dir / 'progress.json').read_text())['written'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(pid: int, born: str | None) -> bool:
    """Whether a process of this host is there and is still the same one: numbers are given again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return birth(pid) == born


def birth(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None where there is no /proc, or where it is a zombie."""
    try:
        # Fields 3 and 22 of proc(5); the second, a name in parentheses, may hold spaces.
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return None
    return None if fields[0] == 'Z' else fields[19]


# --- as text ---

def format_status(work_dir: str | Path) -> str:
    """State, stages and what was found so far, for people; or which files are damaged, of which nothing can be found.

    Raises what :func:`read_status` raises.
    """
    status = read_status(work_dir)
    lines = [f'{work_dir}: {_state_text(status)}']
    if status.state == 'running' and status.snapshot.running is not None:
        lines.append(progress_line(status.snapshot))
    state = RunState(Path(work_dir))
    lines += ['', *_stage_lines(status), '', *(damage(state) or finding_lines(state))]
    return '\n'.join(lines).rstrip()


def _state_text(status: Status) -> str:
    where = f'process {status.pid} on {status.host}'
    ago = f'{timedelta(seconds=round(max(0., status.age)))} ago'
    if status.state == 'running':
        return f'running, {where}, last heard of {ago}'
    if status.state == 'silent':
        return f'not heard of for {timedelta(seconds=round(status.age))}, {where}: probably interrupted; if so, give ' \
               'its command again to continue it'
    if status.state == 'finished':
        return f'finished {ago}'
    error = f' ({status.error})' if status.error else ''
    return f'{status.state} {ago}, {where}{error}; give its command again to continue it'


def _stage_lines(status: Status) -> list[str]:
    lines = []
    width = max((len(stage.name) for stage in status.snapshot.stages), default=0) + 1
    for stage in status.snapshot.stages:
        state = 'interrupted' if stage.state == 'running' and status.state != 'running' else stage.state
        spent = '' if stage.state == 'waiting' else duration(stage.seconds)
        lines.append(f'{stage.name:<{max(width, 11)}}{state:<12}{stage.fraction:>5.0%}{spent:>10}'.rstrip())
    return lines
