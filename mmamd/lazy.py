"""Names of a package that are imported when they are first asked for, so that what needs few of them starts at once."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(package: str, places: dict[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package, from name -> module that has it."""
    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(places[name]), name)

    return get
