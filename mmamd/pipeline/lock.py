"""One run at a time in a work_dir: who holds it, told by a file, and who may take it over."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mmengine.dist import broadcast_object_list, is_main_process

from mmamd.pipeline.status import SILENT_SECONDS, birth, is_alive, last_written

FILE = 'run.lock'


class WorkDirTaken(RuntimeError):
    """Another run holds a work_dir."""


class WorkDirLock:
    """The file ``run.lock`` of a work_dir, held as long as the context lasts: host, process, and since when.

    What a killed process has left is taken over, with a word: where it ran on this host and is gone, or where it ran on
    another one and has not written for ten minutes.

    Args:
        work_dir: Folder of the run; made if it is not there.
        say: Called with the word.
        clock: Seconds since the epoch.

    Raises:
        WorkDirTaken: On entering, if another run holds it; it names who, since when, and the file.
    """

    def __init__(self, work_dir: Path, say: Callable[[str], None] = print,
                 clock: Callable[[], float] = time.time) -> None:
        self.path = work_dir / FILE
        self._say = say
        self._clock = clock

    def __enter__(self) -> 'WorkDirLock':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        pid = os.getpid()
        self._content = json.dumps({'host': socket.gethostname(), 'pid': pid, 'born': birth(pid),
                                    'started': self._clock()})
        while not self._create() and not self._take_over():
            pass  # it was released meanwhile, or another run has taken it over
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None,
                 _traceback: TracebackType | None) -> None:
        with suppress(FileNotFoundError):
            if self.path.read_text() == self._content:  # and not that of a run that took this one for dead
                self.path.unlink()

    def check(self) -> None:
        """Raise :class:`WorkDirTaken` if another run holds the work_dir; nothing is written."""
        with suppress(FileNotFoundError):
            self._refuse(self.path.read_text())

    def _create(self) -> bool:
        try:
            file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(file, 'w') as out:
            out.write(self._content)
        return True

    def _take_over(self) -> bool:
        try:
            file = open(self.path)
        except FileNotFoundError:
            return False
        with file:
            # Of several that find it stale one goes first; the others then hold a file that is no longer there.
            with suppress(OSError):  # of a file system without such locks
                fcntl.flock(file, fcntl.LOCK_EX)
            before = self._refuse(file.read())
            own = self.path.with_name(f'{FILE}.{socket.gethostname()}.{os.getpid()}')
            own.write_text(self._content)
            try:
                if os.stat(self.path).st_ino != os.fstat(file.fileno()).st_ino:
                    return False
                own.replace(self.path)
            except FileNotFoundError:
                return False
            finally:
                own.unlink(missing_ok=True)
        self._say(f'{self.path.parent}: taken over from process {before["pid"]} on {before["host"]}, which is gone')
        return True

    def _refuse(self, text: str) -> dict:
        """Who held the work_dir, of a file's content. Raises :class:`WorkDirTaken` if they may still hold it."""
        remedy = f'If there is no such run any more, remove {self.path}'
        try:
            holder = json.loads(text)
            host, pid, born, started = (holder[key] for key in ('host', 'pid', 'born', 'started'))
        except (ValueError, KeyError, TypeError):
            raise WorkDirTaken(f'{self.path} does not say who runs in {self.path.parent}: a run may be about to begin, '
                               f'or a machine went down while it wrote. {remedy}') from None
        here = host == socket.gethostname()
        silent = self._clock() - max(started, last_written(self.path.parent) or 0.)
        if is_alive(pid, born) if here else silent <= SILENT_SECONDS:
            since = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(started))
            raise WorkDirTaken(f'{self.path.parent} is being run by process {pid} on {host}, since {since}; stop it, '
                               f'wait until it has finished, or give another --work-dir. {remedy}')
        return holder


def on_first_rank(function: Callable[[], None]) -> None:
    """Let the first rank do something; every rank raises what it raised there, so that none waits for another."""
    found: list[Exception | None] = [None]
    if is_main_process():
        try:
            function()
        except Exception as error:
            found = [error]
    broadcast_object_list(found)
    if found[0] is not None:
        raise found[0]
