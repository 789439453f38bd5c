"""The figure of the shares that pathways have of a process, stacked."""

import numpy as np
from matplotlib.figure import Figure

from mmamd.visualization.searched import Pathways
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure


def shares_figure(process: Pathways, style: Style = LIGHT) -> Figure:
    """Areas over a training, the first pathway at the bottom; together they are 1 at any time with a weight.

    Args:
        process: Of at least two points.
        style: Colours.
    """
    weights = np.array(process.weights)
    total = weights.sum(1, keepdims=True)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    figure = new_figure(style, WIDTH * 0.75, 3.4)
    axes = figure.add_subplot()
    axes.stackplot([100 * each for each in process.progress], 100 * shares.T, labels=process.names,
                   colors=style.ordered(len(process.names)), edgecolor=style.paper, linewidth=0.7)
    dress(axes, style, grid=None)
    axes.set(xlabel='Progress of the training (%)', ylabel='Share of the weights (%)', xlim=(0, 100), ylim=(0, 100))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], title='Pathway', loc='outside right center', frameon=False, fontsize=8,
                  title_fontsize=8.5, labelcolor=style.ink).get_title().set_color(style.ink)
    return figure
