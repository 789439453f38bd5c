"""The figure of a process: the weight of every pathway over a training, one panel each."""

from matplotlib.figure import Figure

from mmamd.visualization.searched import Pathways
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

COLUMNS = 5


def process_figure(process: Pathways, style: Style = LIGHT) -> Figure:
    """Small multiples on common axes; the other pathways stand behind each in grey.

    Args:
        process: The process.
        style: Colours.
    """
    columns = min(COLUMNS, len(process.names))
    rows = -(-len(process.names) // columns)
    figure = new_figure(style, WIDTH * (0.2 + 0.8 * columns / COLUMNS), 0.6 + 1.45 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    percent = [100 * each for each in process.progress]
    curves = list(zip(*process.weights, strict=True))
    marker = '.' if len(percent) == 1 else None
    for axes, name, curve in zip(panels.flat, process.names, curves, strict=False):
        for other in curves:
            axes.plot(percent, other, color=style.muted, alpha=0.35, linewidth=0.7)
        axes.plot(percent, curve, color=style.blue, linewidth=1.7, marker=marker)
        axes.set_title(name)
        dress(axes, style)
        axes.set_xlim(0, 100)
    panels[0, 0].set_ylim(0, 1.08 * max(map(max, curves)) or 1)
    for axes in panels.flat[len(process.names):]:
        axes.remove()
    for column in range(columns):  # what stands lowest in its column
        panels[(len(process.names) - 1 - column) // columns, column].tick_params(labelbottom=True)
    figure.supxlabel('Progress of the training (%)', fontsize=9, color=style.ink)
    figure.supylabel('Weight', fontsize=9, color=style.ink)
    return figure
