"""The figure of a measure of each class: what a mean over classes hides."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmamd.files.json_file import read_json, write_json
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

MOST_CLASSES = 40  # of a picture that can be read: those that networks differ in most


@dataclass(frozen=True)
class ClassValues:
    """A measure of each class on the test images.

    Attributes:
        measure: Its name.
        classes: Names of the classes.
        values: Network -> percent of each class, None where neither labels nor predictions have it.
    """

    measure: str
    classes: list[str]
    values: dict[str, list[float | None]]

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'ClassValues':
        return read_json(path, lambda raw: cls(**raw))


def shown_classes(found: ClassValues) -> list[int]:
    """Indices of the classes to show, those that the first network knows best first.

    Of too many, the ones that the first and the last network differ in most.
    """
    values_NK = np.array(list(found.values.values()), dtype=float)  # NaN where there is none
    known = [k for k in range(len(found.classes)) if np.isfinite(values_NK[:, k]).all()]
    differing = sorted(known, key=lambda k: -abs(values_NK[0, k] - values_NK[-1, k]))[:MOST_CLASSES]
    return sorted(differing, key=lambda k: -values_NK[0, k])


def class_figure(found: ClassValues, style: Style = LIGHT) -> Figure:
    """A row a class, a bar a network.

    Args:
        found: What to show.
        style: Colours.
    """
    shown, num = shown_classes(found), len(found.values)
    figure = new_figure(style, WIDTH * 0.75, 1.1 + 0.16 * (num + 1) * len(shown))
    axes = figure.subplots()
    height, rows = 0.8 / num, np.arange(len(shown))
    colours = [style.muted, style.blue, style.orange, style.green]
    for i, (name, values) in enumerate(found.values.items()):
        bars = axes.barh(rows + (i - (num - 1) / 2) * height, [values[k] for k in shown], height=0.9 * height,
                         color=colours[i % len(colours)], label=name.replace('$', r'\$'))
        axes.bar_label(bars, fmt='%.1f', padding=3, fontsize=7, color=style.ink)
    axes.set_yticks(rows, [found.classes[k].replace('$', r'\$') for k in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 108)  # room for the text beside the longest bar
    axes.set_xlabel(f'{found.measure}, %')
    dress(axes, style, grid='x')
    axes.tick_params(axis='y', length=0)
    figure.legend(loc='outside lower center', ncols=num, fontsize=8, frameon=False, labelcolor=style.ink)
    return figure
