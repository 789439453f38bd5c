"""What a run tells its user in passing, once, however many of its stages come upon it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_said: set[str] = set()


def forget() -> None:
    """A run begins: what an earlier one of this process was told is told again."""
    _said.clear()


def notice(text: str, level: int = logging.INFO, about: str | None = None) -> None:
    """Log a text to the current logger, unless it has been logged since the run began.

    Args:
        text: The text.
        level: Of logging.
        about: What it is about, where texts about one thing differ and the first says enough.
    """
    from mmengine.logging import print_log
    if (about or text) not in _said:
        _said.add(about or text)
        print_log(text, 'current', level)


class _Once(logging.Filter):
    """Lets each text pass once."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        is_new = text not in self._passed
        self._passed.add(text)
        return is_new


@contextmanager
def host_notices_once() -> Iterator[None]:
    """What the host logs whenever it builds a part, beside the logs of the stages, is shown once from here on."""
    from mmengine.logging import MMLogger
    filters = {handler: _Once() for handler in MMLogger.get_instance('mmengine').handlers}
    for handler, once in filters.items():
        handler.addFilter(once)
    try:
        yield
    finally:
        for handler, once in filters.items():
            handler.removeFilter(once)
