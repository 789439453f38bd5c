"""How a malformed input is made, and what its refusal must be like."""

import pytest
from mmengine.config import ConfigDict

# Of ours: TypeError and FileNotFoundError are said with the value and the fix, too.
KINDS = (ValueError, FileNotFoundError, TypeError)


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
