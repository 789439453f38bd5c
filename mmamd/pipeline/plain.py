"""Config values as plain data: merged, compared, and known by what their meaning depends on."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Deep copy of config values without the host's dict and list types."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value) if type(value) in (list, tuple) else [*map(plain, value)]
    return value


def types_in(value: Any) -> Iterator[str]:
    """Every type that a config names, by key ``type``."""
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value['type']
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for item in value:
        yield from types_in(item)


def merge(base: Any, over: Any) -> Any:
    """``over`` merged over ``base``, dicts key by key; ``_delete_=True`` in a dict drops what it is merged over."""
    if not isinstance(over, dict):
        return over
    over = dict(over)
    if over.pop('_delete_', False) or not isinstance(base, dict):
        return {key: merge(None, value) for key, value in over.items()}
    return {key: merge(base.get(key), over[key]) if key in over else base[key]
            for key in [*base, *(key for key in over if key not in base)]}


def identity(value: Any, where: str = 'value') -> Any:
    """What a value is known by, as JSON: copies, tuples and lists, and 1 and 1.0 are the same.

    A value with a method ``identity()`` is known by what that returns, a class or function by its name.

    Raises:
        ValueError: If the value is no JSON, such as a tensor or an object of the user's; it names the place.
    """
    if hasattr(value, 'identity'):
        return identity(value.identity(), where)
    if isinstance(value, dict):
        return {str(key): identity(item, f'{where}.{key}') for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [identity(item, f'{where}.{i}') for i, item in enumerate(value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if callable(value) and '<' not in getattr(value, '__qualname__', '<'):  # two lambdas have one name
        return f'{value.__module__}.{value.__qualname__}'
    raise ValueError(f'{where} is {value!r}, a {type(value).__name__}, by which a run that continues cannot be known; '
                     'expected plain values: numbers, texts, lists and dicts')


def digest(value: Any, where: str = 'value') -> str:
    """Short hash of a value's identity: equal values, equal digest. Raises what :func:`identity` raises."""
    text = json.dumps(identity(value, where), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, shortened; read again only where the file has changed."""
    stat = Path(path).stat()
    return _file_digest(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _file_digest(path: str, _changed: int, _size: int) -> str:
    sha = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()[:16]
