"""The figure of how far student and teacher are apart without the direct component of their states, over the steps."""

from collections.abc import Sequence
from pathlib import Path

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


def with_others(run: Path, own: dict[str, Distances], others: dict[Path, dict[str, Distances]]) -> dict[str, Distances]:
    """The distances of a run, by stage, with those that other runs have logged in the same stages.

    Args:
        run: Folder of the run.
        own: Stage -> its distances.
        others: Folder of another run -> the same of it.

    Returns:
        ``own`` if there are no others; else each network has the name of its run's folder before its own.

    Raises:
        ValueError: The run has logged none, another one none in any of its stages, or two folders have one name.
    """
    if not others:
        return own
    folders = [run, *others]
    if len({folder.resolve().name for folder in folders}) < len(folders):
        raise ValueError(f'two runs are in folders of one name, {", ".join(map(str, folders))}, by which their curves '
                         'would be told apart; give another copy or link of one of them')
    if not own:
        raise ValueError(f'{run} has logged no distance itself; begin with a run whose student has learnt by '
                         'mmamd.ScaleKDLoss')
    for other, stages in others.items():
        if not any(stages.get(stage) for stage in own):
            raise ValueError(f'{other} has logged no distance in {", ".join(own)}; name runs whose student has learnt '
                             'by mmamd.ScaleKDLoss')
    return {stage: {f'{folder.resolve().name}: {network}': curve for folder, stages in {run: own, **others}.items()
                    for network, curve in stages.get(stage, {}).items()} for stage in own}


def distance_figure(distances: Distances, style: Style = LIGHT) -> Figure:
    """One line a network; or a run, to compare trainings with and without the second view.

    Args:
        distances: From :func:`read_distances`, or of several runs from :func:`with_others`.
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
