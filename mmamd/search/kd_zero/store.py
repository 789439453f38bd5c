"""Where the trials of a search are kept: a study of Optuna's, in a journal file, in a database, or in memory."""

import fcntl
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage, fail_stale_trials
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine  # Optuna's own
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mmamd.pipeline.status import birth, is_alive
from mmamd.search.kd_zero.evolution import Trial
from mmamd.search.kd_zero.space import GENES

SETTINGS = 'settings'  # attribute of a study
WAIT = 1.  # seconds before a worker looks again at what others do
ATTEMPTS = 5  # to open a database
HEARTBEAT = 60  # seconds between signs of life in a database; after three times as many a worker counts as dead


def open_study(store: str | Path | None, name: str, settings: dict, sampler=None) -> optuna.Study:
    """The study of a name, made if there is none yet.

    Args:
        store: Path of a journal file, for workers of one machine; URL of a database, for those of several; None for
            memory.
        settings: Everything that the trials depend on, as plain values. They are kept with the study.

    Raises:
        ValueError: The study has been made by other settings.
    """
    storage = open_storage(store)
    try:
        study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    except KeyError:  # there is none yet, or another worker makes it at this moment
        study = optuna.create_study(storage=storage, study_name=name, sampler=sampler, load_if_exists=True)
    # As the store gives them back: lists for tuples.
    settings = json.loads(json.dumps(settings))
    before = study.user_attrs.get(SETTINGS)  # None too where a worker has died before it wrote them
    if before is None:
        study.set_user_attr(SETTINGS, settings)
    elif before != settings:
        key, was, now = _difference(before, settings)
        raise ValueError(f'{store} holds a search {name!r} of other settings: {key} was {was!r} and is {now!r} now; '
                         'set it back to go on, or give the new search a store of its own')
    return study


def _difference(before: dict, now: dict) -> tuple[str, Any, Any]:
    """The first key in which settings differ, that of a section by its path, and its values."""
    key = next(key for key in {**now, **before} if before.get(key) != now.get(key))
    values = before.get(key), now.get(key)
    if all(isinstance(value, dict) for value in values):
        inner, *values = _difference(*values)
        key = f'{key}.{inner}'
    return key, *values


class Turn:
    """The right to begin a trial, which one worker of a journal has at a time, from :meth:`take` to :meth:`pass_on`.

    So no two of them propose the same, and a trial that nobody has put their name to is one of a worker that has died.
    A worker that dies passes it on. In a database and in memory there are no turns.
    """

    def __init__(self, store: str | Path | None) -> None:
        self.path = None if store is None or is_database(store) else Path(f'{store}.turn')
        self._file: IO | None = None

    def take(self) -> None:
        if self.path is not None:
            self._file = open(self.path, 'w')
            with suppress(OSError):  # of a file system without such locks
                fcntl.flock(self._file, fcntl.LOCK_EX)

    def pass_on(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def fail_dead_trials(study: optuna.Study, store: str | Path | None) -> None:
    """Trials of workers that have died count as failed: they are left out, and what they tried is tried again.

    On this host a process is gone; of other hosts a database knows by their heartbeats. A journal is of one machine, so
    what another one began was begun before the file was moved. Called by whose :class:`Turn` it is.
    """
    if is_database(store):
        with _experimental():
            fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, pid, born = trial.user_attrs.get('worker', (None, 0, None))
        is_here = host == socket.gethostname()
        if not is_alive(pid, born) if is_here else not is_database(store):
            study.tell(trial.number, state=TrialState.FAIL)


def check_reached(store: str | Path | None) -> None:
    """Raise ValueError if a store is a database that is not reached; nothing is written to it."""
    if is_database(store):
        try:
            create_engine(str(store)).connect().close()
        except (SQLAlchemyError, ImportError) as error:
            raise ValueError(f'search.store={store!r} is not reached: {error}; give the URL of a database that is '
                             'there, and install its driver, or the path of a journal file') from error


def is_database(store: str | Path | None) -> bool:
    """Whether a store is a URL."""
    return '://' in str(store)


def worker() -> list:
    """Who this process is: host, number, and when it began."""
    return [socket.gethostname(), os.getpid(), birth(os.getpid())]


def trials_of(study: optuna.Study, before: int | None = None) -> list[Trial]:
    """The trials of a study by position, those that failed left out.

    Args:
        before: Number of a trial; those that were begun after it are left out, and so is it.
    """
    found = [trial for trial in study.get_trials(deepcopy=False)
             if trial.state != TrialState.FAIL and (before is None or trial.number < before)]
    return [_trial(position, trial) for position, trial in enumerate(found) if 'role' in trial.user_attrs]


def _trial(position: int, trial: FrozenTrial) -> Trial:
    about = trial.user_attrs
    return Trial(position, about['role'], {gene: trial.params[gene] for gene in GENES}, about['genome'],
                 trial.value if trial.state == TrialState.COMPLETE else None,
                 about.get('reason') if trial.state == TrialState.PRUNED else None, about.get('known', False),
                 about.get('parts', {}))


def open_storage(store: str | Path | None) -> BaseStorage:
    """Optuna's storage in a journal file, a database or memory, made if there is none."""
    if store is None:
        return InMemoryStorage()
    if is_database(store):
        return _database(str(store))
    path = Path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileSymlinkLock(str(path))
    if path.exists():
        _mend(path, lock)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _database(url: str) -> RDBStorage:
    """Of two workers that begin at one moment the second is told that the tables are there, and looks again."""
    with _experimental():
        for _ in range(ATTEMPTS - 1):
            with suppress(DBAPIError):
                return RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=3 * HEARTBEAT)
            time.sleep(WAIT)
        return RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=3 * HEARTBEAT)


@contextmanager
def _experimental() -> Iterator[None]:
    """Without Optuna's word that heartbeats may change."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
        yield


def _mend(path: Path, lock: JournalFileSymlinkLock) -> None:
    """Take away the half line that a worker has left which was killed while it wrote: what followed it was unreadable.

    Raises:
        ValueError: The file is no journal.
    """
    lock.acquire()
    try:
        with open(path, 'r+b') as file:
            content = file.read()
            whole = content[:content.rfind(b'\n') + 1]
            try:
                is_journal = all('op_code' in json.loads(line) for line in whole.splitlines())
            except (ValueError, TypeError):
                is_journal = False
            if not is_journal or content and not whole:
                raise ValueError(f'{path} is no journal of a search, or is damaged; give another store, or remove '
                                 'it to begin anew')
            file.truncate(len(whole))
    finally:
        lock.release()
