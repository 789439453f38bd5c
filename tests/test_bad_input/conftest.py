"""How bad input is tried, and how many inputs there were."""

import contextlib
import copy
import io

import pytest
from malformed import said

import mmamd
from mmamd.pipeline import MultiStepRunner

FOLDER = 'tests/test_bad_input/'


@pytest.fixture(scope='session')
def read_once(tiny_config):
    """The tiny config, to be copied: reading it is what takes longest."""
    return tiny_config()


@pytest.fixture
def refused(read_once, tmp_path, monkeypatch):
    """Function that starts a run of a config and returns what it is refused with; nothing has been written."""
    monkeypatch.setattr(MultiStepRunner, '_carry', lambda *_: pytest.fail('a stage was started'))

    def start(change, **overrides):
        config = copy.deepcopy(read_once)
        config.merge_from_dict(overrides)
        change(config)
        with contextlib.redirect_stdout(io.StringIO()):
            return said(lambda: mmamd.compress(config, work_dir=tmp_path / 'run'), tmp_path / 'run')

    return start


def pytest_terminal_summary(terminalreporter):
    """Say how many malformed inputs were refused."""
    count = sum(dict(report.user_properties).get('inputs', 1)
                for report in terminalreporter.stats.get('passed', []) if report.nodeid.startswith(FOLDER))
    if count:
        terminalreporter.write_line(f'malformed inputs that were refused: {count}')
