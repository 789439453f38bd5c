"""The base of hooks that say in a config how a stage works."""

import inspect
from typing import Any

from mmengine.hooks import Hook


class ConfiguredHook(Hook):
    """A hook that is known by the arguments it was made with, each of which it keeps under its own name."""

    def identity(self) -> dict[str, Any]:
        """Everything that its work depends on, as plain data: name of an argument -> its value."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.identity() == other.identity()

    __hash__ = Hook.__hash__
