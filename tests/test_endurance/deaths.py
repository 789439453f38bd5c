"""Counts what a run does, part by part, and kills its process at the n-th thing it does in one of them.

The parts are the stages, ``preflight`` before them and ``summary`` after them. Counted are calls of functions, which
fall anywhere in the computation, and writes: files opened for writing below the work_dir, files of torch.save, and
renames. A process that dies at a write leaves the half of it.
"""

import builtins
import io
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from mmamd.pipeline import runner as pipeline

PARTS = ('preflight', 'summary')  # beside the stages


@dataclass(frozen=True)
class Death:
    """Where a process dies.

    Attributes:
        part: Of the run.
        by: What is counted, ``'calls'`` or ``'writes'``.
        number: The process dies at the so-manieth; where fewer come, at the part's end.
        rank: The process that dies.
    """

    part: str
    by: str
    number: int
    rank: int = 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class TornFile:
    """An open file of which half of the first write arrives."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def write(self, data):
        self._file.write(data[:len(data) // 2])
        self._file.flush()
        die()


class Watch:
    """Counts, and carries out a death, from :meth:`install` on.

    Args:
        work_dir: Of the run.
        death: None to count alone.

    Attributes:
        counts: Part -> what is counted -> how often it came.
    """

    def __init__(self, work_dir: str, death: Death | None = None) -> None:
        self.counts = {}
        self._work_dir = os.path.abspath(work_dir) + os.sep
        self._death = death
        self._part = None

    def install(self):
        self._wrap(pipeline.MultiStepRunner, '_begin', lambda *_: 'preflight')
        self._wrap(pipeline.MultiStepRunner, '_carry', lambda _, stage, *rest: stage.name)
        self._wrap(pipeline, 'summarise', lambda *_: 'summary')
        builtins.open = io.open = self._opening(io.open)
        for name in ('rename', 'replace'):
            setattr(os, name, self._renaming(getattr(os, name)))
        torch.save = self._saving(torch.save)

    # --- parts ---

    def _wrap(self, owner, name, part_of):
        function = getattr(owner, name)

        def watched(*args):
            with self._in_part(part_of(*args)):
                return function(*args)

        setattr(owner, name, watched)

    @contextmanager
    def _in_part(self, part):
        self._part = self.counts[part] = {'calls': 0, 'writes': 0}
        self._dies_here = self._death is not None and self._death.part == part
        if part != 'summary':  # which draws the report, in more calls than all of the rest
            sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._part = None
        if self._dies_here:
            die()

    # --- what is counted ---

    def _is_time(self, what):
        if self._part is None:
            return False
        self._part[what] += 1
        return self._dies_here and what == self._death.by and self._part[what] == self._death.number

    def _is_ours(self, file):
        return isinstance(file, (str, os.PathLike)) and os.path.abspath(file).startswith(self._work_dir)

    def _called(self, _frame, event, _argument):
        if event in ('call', 'c_call') and self._is_time('calls'):
            die()

    def _opening(self, original):
        def opened(file, mode='r', *args, **kwargs):
            found = original(file, mode, *args, **kwargs)
            is_written = self._is_ours(file) and set(mode) & set('wax+')
            return TornFile(found) if is_written and self._is_time('writes') else found

        return opened

    def _renaming(self, original):
        def renamed(source, target, **kwargs):
            if self._is_ours(target) and self._is_time('writes'):
                die()
            original(source, target, **kwargs)

        return renamed

    def _saving(self, original):
        def saved(content, file, *args, **kwargs):
            original(content, file, *args, **kwargs)
            if self._is_ours(file) and self._is_time('writes'):
                os.truncate(file, Path(file).stat().st_size // 2)
                die()

        return saved
