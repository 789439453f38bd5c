"""The names that a mistyped one was probably meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """End of a sentence about an unknown name: the known ones nearest to it, if any is near."""
    near = nearest(name, names)
    return f'. Did you mean {", ".join(near[:-1])}{" or " if near[1:] else ""}{near[-1]}?' if near else '.'


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """At most three names most like ``name``, the nearest first."""
    return difflib.get_close_matches(name, list(names), n=3, cutoff=cutoff)
