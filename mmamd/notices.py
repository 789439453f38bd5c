"""What a run tells its user in passing, once, however many of its stages come upon it."""

import logging

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
