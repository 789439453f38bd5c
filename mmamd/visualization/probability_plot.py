"""The figure of how likely a search draws each operation, over its generations."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mmamd.visualization.searched import Searched
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

ROW = 0.165  # inches of an operation
NAMES = {'transform_1': 'First transform', 'transform_2': 'Second transform', 'transform_3': 'Third transform',
         'distance': 'Distance', 'calibration': 'Calibration'}


def probability_figure(searched: Searched, style: Style = LIGHT) -> Figure:
    """One panel a gene: operation x generation, with how much likelier than in the beginning it is to be drawn.

    Transforms stand side by side, other genes below each other beside them. Operations that could not be drawn in the
    beginning are left out.

    Args:
        searched: With at least two generations.
        style: Colours.
    """
    factors = {gene: {operation: np.array(each) / each[0] for operation, each in found.items() if each[0]}
               for gene, found in searched.probabilities.items()}
    tall = [gene for gene in factors if gene.startswith('transform')]
    small = [gene for gene in factors if gene not in tall]
    figure = new_figure(style, WIDTH, 1.1 + max(ROW * max(len(factors[gene]) for gene in tall),
                                                sum(ROW * len(factors[gene]) + 0.6 for gene in small)))
    grid = figure.add_gridspec(1, len(tall) + 2, width_ratios=[1] * (len(tall) + 1) + [0.07])
    stacked = grid[0, -2].subgridspec(len(small), 1, height_ratios=[len(factors[gene]) for gene in small])
    panels = {gene: figure.add_subplot(place) for gene, place in zip(
        [*tall, *small], [*(grid[0, i] for i in range(len(tall))), *stacked], strict=True)}
    everything = np.concatenate([each for found in factors.values() for each in found.values()])
    for gene, axes in panels.items():
        axes.set_title(NAMES.get(gene, gene))
        image = _draw(axes, factors[gene], searched.began_at, (everything.min(), everything.max()), style)
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[0, -1]))
    bar.set_label('Probability over that of the beginning', color=style.ink, size=8)
    bar.ax.tick_params(colors=style.muted, labelcolor=style.ink, labelsize=7.5)
    bar.outline.set_visible(False)
    figure.supxlabel('Trials before the generation', fontsize=9, color=style.ink)
    return figure


def _draw(axes: Axes, factors: dict[str, np.ndarray], began_at: list[int], span: tuple[float, float],
          style: Style) -> AxesImage:
    image = axes.imshow(np.stack(list(factors.values())), cmap=style.amounts, vmin=span[0], vmax=span[1], aspect='auto',
                        interpolation='none')
    dress(axes, style, grid=None)
    axes.set_yticks(range(len(factors)), labels=list(factors))
    step = -(-len(began_at) // 3)
    axes.set_xticks(range(0, len(began_at), step), labels=[str(each) for each in began_at[::step]])
    axes.tick_params(length=0, labelsize=7)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image
