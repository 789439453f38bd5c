"""JSON files of a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmamd.files.whole import remedy, written_whole


def write_json(path: str | Path, content: dict) -> None:
    """Write a dict, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + '\n')


def is_name(key: str) -> bool:
    """Whether a key of a dict is harmless in Python's source: the host writes keys into configs without escapes."""
    return key.isprintable() and not set('\'"\\{}') & set(key)


def _named(pairs: list[tuple[str, Any]]) -> dict:
    odd = next((key for key, _ in pairs if not is_name(key)), None)
    if odd is not None:
        raise ValueError(f'the key {odd!r} is no name')
    return dict(pairs)


def read_json(path: str | Path, build: Callable[[dict], Any] = dict) -> Any:
    """What ``build`` makes of the dict in a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or does not hold what ``build`` needs; names the file and what to do.
    """
    content = Path(path).read_bytes()
    try:
        raw = json.loads(content, object_pairs_hook=_named)
    except ValueError as error:
        what = f'is no JSON ({error})' if content else 'is empty'
        raise ValueError(f'{path} {what}; it was cut short or changed: {remedy(path)}') from error
    if not isinstance(raw, dict):
        raise ValueError(f'{path} holds a {type(raw).__name__} where a dict is expected: {remedy(path)}')
    try:
        return build(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} does not hold what is expected of it ({type(error).__name__}: {error}); it was '
                         f'changed, or is of another version: {remedy(path)}') from error
