"""The figure of what a threshold leaves of a process: pathways that are run, and what they cost."""

import numpy as np
from matplotlib.figure import Figure

from mmamd.visualization.searched import Pathways
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure


def threshold_figure(process: Pathways, style: Style = LIGHT) -> Figure:
    """Share of the recorded weights that a threshold keeps, and of the MACs of their transforms where they are known.

    Both fall in steps at the weights themselves: a weight that is the threshold is kept.

    Args:
        process: The process.
        style: Colours.
    """
    thresholds, kept, cost = kept_by(process)
    beyond = [*thresholds, 1.05 * thresholds[-1]]
    figure = new_figure(style, WIDTH * 0.75, 3.2)
    axes = figure.add_subplot()
    axes.plot(beyond, [*(100 * kept), 0], color=style.blue, linewidth=1.7, drawstyle='steps-pre', label='pathways')
    if cost is not None:
        axes.plot(beyond, [*(100 * cost), 0], color=style.orange, linewidth=1.7, linestyle='--', drawstyle='steps-pre',
                  label='MACs of their transforms')
    dress(axes, style, grid='both')
    axes.set(xlabel='Threshold', ylabel='Kept (%)', xlim=(0, beyond[-1] or 1), ylim=(0, 104))
    figure.legend(loc='outside upper center', ncols=2, frameon=False, fontsize=8.5, labelcolor=style.ink)
    return figure


def kept_by(process: Pathways) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Thresholds, 0 and every weight, ascending; the shares that each keeps of pathways and of their MACs."""
    weights = np.array(process.weights)
    thresholds = np.unique(np.append(weights, 0.))
    is_kept = weights[None] >= thresholds[:, None, None]
    if not any(process.macs or ()):
        return thresholds, is_kept.mean((1, 2)), None
    macs = np.array(process.macs, dtype=float)
    return thresholds, is_kept.mean((1, 2)), (is_kept * macs).sum((1, 2)) / (len(weights) * macs.sum())
