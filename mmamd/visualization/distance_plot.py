"""The figure of how far student and teacher are apart without the direct component of their states, over the steps."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from mmamd.files.training_log import Curve
from mmamd.visualization.loss_plot import condense
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

LOGGED = '.alternative_distance'  # behind the name of the network
Distances = dict[str, Curve]  # network -> curve


def read_distances(rows: Sequence[dict]) -> Distances:
    """Curves from logged rows, which hold ``'step'`` and values such as ``'0.30.alternative_distance'``."""
    found: Distances = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(LOGGED):
                curve = found.setdefault(name.removesuffix(LOGGED), Curve([], []))
                curve.steps.append(row['step'])
                curve.values.append(value)
    return found


def distance_figure(distances: Distances, style: Style = LIGHT) -> Figure:
    """One line a network; or a run, to compare trainings with and without the second view.

    Args:
        distances: From :func:`read_distances`, or of several runs by any name.
        style: Colours.

    Raises:
        ValueError: There is no distance to draw.
    """
    if not distances:
        raise ValueError('no distances to draw: expected rows with names such as 0.30.alternative_distance')
    figure = new_figure(style, WIDTH * 0.75, 3.2)
    axes = figure.add_subplot()
    for colour, (name, curve) in zip(style.ordered(len(distances)), distances.items(), strict=True):
        curve = condense(curve)
        axes.plot(curve.steps, curve.values, color=colour, linewidth=1.4, label=name,
                  marker='.' if len(curve.steps) == 1 else None)
    dress(axes, style, grid='both')
    axes.set(xlabel='Step', ylabel='Distance without the\ndirect component')
    if len(distances) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=style.ink)
    return figure
