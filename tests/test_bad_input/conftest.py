"""How bad input is tried, and how many inputs there were."""

import contextlib
import copy
import io

import pytest
from mmengine.config import ConfigDict

import mmamd
from mmamd.pipeline import MultiStepRunner

FOLDER = 'tests/test_bad_input/'
# Of ours: TypeError and FileNotFoundError are said with the value and the fix, too.
KINDS = (ValueError, FileNotFoundError, TypeError)


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


def said(call, *absent):
    """The message with which a call is refused: raised by mmamd itself, and no file is there that was not."""
    with pytest.raises(KINDS) as found:
        call()
    raised_in = str(found.traceback[-1].path)
    assert '/mmamd/' in raised_in and 'site-packages' not in raised_in, f'raised in {raised_in}: {found.value!r}'
    assert [path for path in absent if path.exists()] == []
    return str(found.value)


def put(config, key, value):
    """Set a dotted key, past the host's merging of dicts; numbers are places in a list."""
    *path, last = key.split('.')
    for name in path:
        if isinstance(config, list):
            config = config[int(name)]
            continue
        if config.get(name) is None:
            config[name] = ConfigDict()
        config = config[name]
    config[int(last) if isinstance(config, list) else last] = value


def names_value(message, value):
    """Whether a message has a value, or of a list its items."""
    items = value if isinstance(value, list) else [value]
    return repr(value) in message or all(repr(item) in message for item in items)


def pytest_terminal_summary(terminalreporter):
    """Say how many malformed inputs were refused."""
    count = sum(dict(report.user_properties).get('inputs', 1)
                for report in terminalreporter.stats.get('passed', []) if report.nodeid.startswith(FOLDER))
    if count:
        terminalreporter.write_line(f'malformed inputs that were refused: {count}')
