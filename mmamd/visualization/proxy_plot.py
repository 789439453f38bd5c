"""The figure of what a proxy's fitness is worth: against what students do that were trained to their end."""

import numpy as np
from matplotlib.figure import Figure

from mmamd.visualization.searched import Retrained
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

LEAST = 3  # distillers of which a rank correlation is said


def proxy_figure(retrained: list[Retrained], metric: str, style: Style = LIGHT) -> Figure:
    """One dot a distiller, the mean over its students, with their least and their largest performance.

    Args:
        retrained: At least two.
        metric: What performance is.
        style: Colours.
    """
    fitness, means = [each.fitness for each in retrained], [100 * np.mean(each.values) for each in retrained]
    spread = [[mean - 100 * min(each.values), 100 * max(each.values) - mean]
              for mean, each in zip(means, retrained, strict=True)]
    figure = new_figure(style, WIDTH * 0.6, 3.4)
    axes = figure.add_subplot()
    axes.errorbar(fitness, means, yerr=np.clip(np.transpose(spread), 0, None), color=style.blue, linestyle='none',
                  marker='o', markersize=5, elinewidth=1.2, capsize=2)
    axes.set(xlabel='Fitness of the proxy (lower is better)', ylabel=f'{metric} on the test images (%)')
    if len(retrained) >= LEAST:
        axes.set_title(f'Rank correlation {rank_correlation(fitness, means):+.2f}, of {len(retrained)} distillers')
    dress(axes, style, grid='both')
    return figure


def rank_correlation(x: list[float], y: list[float]) -> float:
    """Spearman's, in [-1, 1]: the correlation of ranks, equal values sharing the mean of theirs; 0 of a constant."""
    ranks = [_ranks(np.asarray(values)) for values in (x, y)]
    a, b = (each - each.mean() for each in ranks)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.


def _ranks(values: np.ndarray) -> np.ndarray:
    return (values[:, None] > values).sum(1) + ((values[:, None] == values).sum(1) - 1) / 2
