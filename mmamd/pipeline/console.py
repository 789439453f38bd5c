"""Where the pipeline's own lines go, and how wide they are there."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence


def console() -> Callable[[str], None]:
    """What says a text on the first rank's standard output; on a terminal, lines that are wider than it are folded."""
    from mmengine.dist import get_rank  # a status has no need of the host
    if get_rank():
        return lambda text: None
    return say


def say(text: str) -> None:
    """See :func:`console`."""
    if sys.stdout.isatty():
        text = folded(text, shutil.get_terminal_size().columns)
    print(text, flush=True)


def folded(text: str, width: int) -> str:
    """A text whose lines are broken between words where they are wider than so many columns; no word is broken."""
    return '\n'.join(part for line in text.splitlines() for part in textwrap.wrap(
        line, width, subsequent_indent='    ', break_long_words=False, break_on_hyphens=False) or [line])


def aligned(rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A table as lines: so many columns of words to the left, and columns of numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(cell.ljust(width) if column < words else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
