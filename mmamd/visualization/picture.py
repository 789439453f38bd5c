"""What a picture of a run is."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One picture of a run.

    Attributes:
        kind: Its key in :data:`mmamd.visualization.PICTURES`.
        name: Of its file, without a suffix: the kind, and the stage where a run has several.
        title: What it shows.
        caption: How it is read, in a sentence or two.
        draw: Draws it: ``draw(style=...)`` returns a figure.
    """

    kind: str
    name: str
    title: str
    caption: str
    draw: Callable[..., Figure]
