"""The figure of a search: how good the distillers are that it has tried, beside as many that were drawn by chance."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmamd.visualization.searched import Searched
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

LOOKS = {'evolution': ('blue', '-', 'o'), 'random': ('orange', '--', 'x')}
WORST = 90  # percentile of the fitness up to which dots are shown; a collapsed student would squeeze all others


def search_figure(searched: Searched, style: Style = LIGHT) -> Figure:
    """Fitness over evaluations, one colour a method: dots and the best so far (left), mean of the best ones (right).

    The mean is that of as many as the population has, the best of all so far, for every method; it begins when there
    are so many.

    Args:
        searched: With at least one evaluation.
        style: Colours.
    """
    figure = new_figure(style, WIDTH, 3.4)
    left, right = figure.subplots(1, 2)
    for method, trials in searched.evaluated.items():
        name, dashes, marker = LOOKS[method]
        colour, fitness = getattr(style, name), np.array([trial.fitness for trial in trials])
        number = np.arange(1, len(fitness) + 1)
        left.plot(number, fitness, color=colour, linestyle='none', marker=marker, markersize=3, alpha=0.45)
        left.plot(number, np.minimum.accumulate(fitness), color=colour, linestyle=dashes, linewidth=1.6, label=method,
                  drawstyle='steps-post')
        means = mean_of_the_best(fitness, searched.population)
        right.plot(number[len(number) - len(means):], means, color=colour, linestyle=dashes, linewidth=1.6)
    everything = np.concatenate([[trial.fitness for trial in trials] for trials in searched.evaluated.values()])
    low, high = everything.min(), np.percentile(everything, WORST)
    left.set_ylim(low - 0.08 * (high - low or 1), high + 0.05 * (high - low or 1))
    for axes, title in ((left, 'Best so far'), (right, f'Mean of the {searched.population} best so far')):
        axes.set(xlabel='Evaluations', ylabel='Fitness (lower is better)', title=title)
        dress(axes, style, grid='both')
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    figure.legend(loc='outside upper center', ncols=2, frameon=False, fontsize=8.5, labelcolor=style.ink)
    return figure


def mean_of_the_best(fitness: np.ndarray, num: int) -> np.ndarray:
    """After each evaluation from the ``num``-th on, the mean of the ``num`` least values so far."""
    return np.array([np.sort(fitness[:end])[:num].mean() for end in range(num, len(fitness) + 1)])
