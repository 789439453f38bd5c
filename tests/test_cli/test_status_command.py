"""``mmamd status`` is as wide as the terminal, and with ``--watch`` looks until the run has ended."""

import os
import sys
from types import SimpleNamespace

import pytest

from mmamd.cli import status
from mmamd.pipeline.status import Status
from mmamd.structures import Selection


def test_it_looks_again_until_the_run_has_ended(mmamd_command, monkeypatch):
    states, slept = iter(['running', 'running', 'finished']), []
    monkeypatch.setattr(status, 'format_status', lambda work_dir: f'a look at {work_dir}')
    monkeypatch.setattr(status, 'read_status', lambda work_dir: Status(next(states), '', 0, 1, 0., None, None))
    monkeypatch.setattr(status.time, 'sleep', slept.append)
    code, out, _ = mmamd_command('status', 'run', '--watch', '0.5')
    assert code == 0 and out == 3 * 'a look at run\n' and slept == [0.5, 0.5]  # in a file nothing is erased


def test_on_a_terminal_it_is_folded_and_each_look_takes_the_place_of_the_last(monkeypatch):
    written = []
    monkeypatch.setattr(sys, 'stdout', SimpleNamespace(isatty=lambda: True, write=written.append, flush=lambda: None))
    monkeypatch.setattr('shutil.get_terminal_size', lambda *_: os.terminal_size((30, 20)))
    monkeypatch.setattr(status, 'format_status', lambda work_dir: f'{work_dir}: ' + 'held out ' * 6)
    monkeypatch.setattr(status, 'read_status', lambda work_dir: Status('finished', '', 0, 1, 0., None, None))
    for watch in (None, 5.):
        written.clear()
        status.run(SimpleNamespace(work_dir='run', watch=watch))
        text = ''.join(written)
        assert text.startswith(status.CLEAR) == (watch is not None)
        assert max(map(len, text.removeprefix(status.CLEAR).splitlines())) <= 30


@pytest.mark.parametrize('seconds', ['0', '-1', 'often'])
def test_a_time_that_is_none_is_refused(seconds, mmamd_command):
    assert mmamd_command('status', 'run', f'--watch={seconds}')[0] == 2


def test_what_to_know_of_a_choice_is_said(finished_run, mmamd_command):
    work_dir, _ = finished_run
    warnings = Selection.load(work_dir / 'select' / 'selection.json').warnings
    out = mmamd_command('status', work_dir)[1]
    assert warnings and all(f'select, warning: {text}' in out for text in warnings)
