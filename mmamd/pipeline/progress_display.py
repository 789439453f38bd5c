"""The two ways in which people see the progress of a run: plain lines, and a table that lives on a terminal."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mmamd.pipeline.progress import Snapshot, duration

LINE_SECONDS = 10.


def make_display(stream: TextIO | None = None, environ: Mapping[str, str] = os.environ):
    """The display for a stream, standard output by default: a context manager and a listener of ``Progress``.

    Plain lines go to files and pipes, under SLURM (whose terminal is a log of many tasks), and where ``NO_COLOR`` is
    set or ``TERM`` names no terminal that can move its cursor.
    """
    stream = stream or sys.stdout
    is_plain = (not stream.isatty() or environ.get('NO_COLOR') or 'SLURM_JOB_ID' in environ
                or environ.get('TERM', 'dumb') in ('dumb', 'unknown'))
    return ProgressLines(stream) if is_plain else ProgressTable(stream)


class ProgressLines:
    """A line where a stage begins or ends, and one every ten seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._said = clock()

    def __enter__(self) -> 'ProgressLines':
        return self

    def __exit__(self, *_) -> None:
        pass

    def __call__(self, snapshot: Snapshot, note: str | None) -> None:
        if note is None:
            if self._clock() - self._said < LINE_SECONDS:
                return
            self._said = self._clock()
            note = f'    {progress_line(snapshot)}'
        print(note, file=self._stream, flush=True)


def progress_line(snapshot: Snapshot) -> str:
    """The running stage in one line: its share, what it says of itself, and the time that is left."""
    stage = snapshot.running
    detail = f'  {snapshot.detail}' if snapshot.detail else ''
    return (f'{stage.name} {stage.fraction:4.0%}{detail}   left: stage {duration(stage.seconds_left)}, '
            f'run about {duration(snapshot.seconds_left)}')


class ProgressTable:
    """A table of all stages at the foot of a terminal; what others print meanwhile appears above it.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        # Drawn when the run tells, not by a thread: a loader's worker that is forked while a thread holds the
        # console's lock would wait for it for ever.
        self._live = Live(console=Console(file=stream), auto_refresh=False, redirect_stderr=sys.stderr.isatty())

    def __enter__(self) -> 'ProgressTable':
        self._live.start()
        self._live.console.show_cursor(True)  # a run that is killed cannot bring it back
        return self

    def __exit__(self, *_) -> None:
        self._live.stop()

    def __call__(self, snapshot: Snapshot, note: str | None) -> None:
        self._live.update(progress_table(snapshot), refresh=True)


def progress_table(snapshot: Snapshot) -> Table:
    """One line a stage and one for the run: bar, share, time spent, time left, and what the stage says of itself."""
    table = Table(box=None, pad_edge=False, header_style='dim')
    # Where the terminal is narrow, the bars and the last column give way: they may be 'wrapped', which none of them is.
    for header, justify, gives_way in (('', 'left', False), ('', 'left', True), ('done', 'right', False),
                                       ('spent', 'right', False), ('left', 'right', False), ('', 'left', True)):
        table.add_column(header, justify=justify, no_wrap=not gives_way)
    for stage in snapshot.stages:
        is_running, is_waiting = stage.state == 'running', stage.state == 'waiting'
        table.add_row(Text(stage.name, style='bold' if is_running else 'dim' if is_waiting else ''),
                      _bar(stage.fraction), f'{stage.fraction:.0%}', '' if is_waiting else duration(stage.seconds),
                      '' if stage.state == 'finished' else duration(stage.seconds_left),
                      Text(snapshot.detail if is_running else '', no_wrap=True, overflow='ellipsis'))
    spent = sum(stage.seconds for stage in snapshot.stages)
    table.add_row(Text('run', style='bold'), _bar(snapshot.fraction), f'{snapshot.fraction:.0%}', duration(spent),
                  duration(snapshot.seconds_left), '')
    return table


def _bar(fraction: float) -> ProgressBar:
    return ProgressBar(total=1., completed=fraction, width=24)
