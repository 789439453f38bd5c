"""The figure of the distillers that a search has rejected, by the reason."""

from collections import Counter

import numpy as np
from matplotlib.figure import Figure

from mmamd.visualization.search_plot import LOOKS
from mmamd.visualization.searched import Searched
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure


def rejection_figure(searched: Searched, style: Style = LIGHT) -> Figure:
    """One group of bars a reason, the most frequent on top, one bar a method: share of its trials, and their number.

    A distiller that is met again counts again: it was drawn.

    Args:
        searched: With at least one rejection.
        style: Colours.
    """
    counts = {method: Counter(trial.reason for trial in trials if trial.reason)
              for method, trials in searched.trials.items()}
    reasons = [reason for reason, _ in sum(counts.values(), Counter()).most_common()]
    figure = new_figure(style, WIDTH * 0.75, 0.9 + 0.22 * (len(counts) + 1) * len(reasons))
    axes = figure.add_subplot()
    height = 0.8 / len(counts)
    for place, (method, found) in enumerate(counts.items()):
        num = max(1, len(searched.trials[method]))
        at = np.arange(len(reasons)) + (place - (len(counts) - 1) / 2) * height
        bars = axes.barh(at, [100 * found[reason] / num for reason in reasons], height=0.9 * height,
                         color=getattr(style, LOOKS[method][0]),
                         label=f'{method}: {sum(found.values())} of {num} rejected')
        axes.bar_label(bars, labels=[str(found[reason]) for reason in reasons], padding=3, fontsize=8, color=style.ink)
    dress(axes, style, grid='x')
    axes.set_yticks(range(len(reasons)), labels=reasons)
    axes.margins(x=0.1)
    axes.tick_params(axis='y', length=0)
    axes.invert_yaxis()
    axes.set_xlabel('Share of the distillers tried (%)')
    figure.legend(loc='outside upper center', ncols=2, frameon=False, fontsize=8.5, labelcolor=style.ink)
    return figure
