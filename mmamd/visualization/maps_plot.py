"""The figure of what a term of the loss shows: maps side by side, on one scale."""

import numpy as np
from matplotlib.figure import Figure

from mmamd.structures import Maps
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

COLUMNS = 4
MOST_NUMBERS = 10  # along a side


def maps_figure(shown: Maps, style: Style = LIGHT) -> Figure:
    """One panel a map, the first row of a map at the top.

    Args:
        shown: The maps.
        style: Colours.
    """
    columns = min(COLUMNS, len(shown.panels))
    rows = -(-len(shown.panels) // columns)
    figure = new_figure(style, WIDTH * columns / COLUMNS + 0.9, 2.5 * rows + 0.2)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(shown.panels):]:
        axes.remove()
    maps = {title: np.array(rows, dtype=float) for title, rows in shown.panels.items()}  # nan for None
    values = np.concatenate([np.ravel(values_HW) for values_HW in maps.values()])
    used = []
    for axes, (title, values_HW) in zip(panels.flat, maps.items(), strict=False):
        image = axes.imshow(values_HW, cmap=style.amounts, vmin=np.nanmin(values), vmax=np.nanmax(values),
                            interpolation='none')
        dress(axes, style, grid=None)
        axes.set_facecolor(style.grid)  # is seen where there is no value
        height, width = values_HW.shape
        axes.set(xticks=_numbers(width) if shown.columns else [], yticks=_numbers(height) if shown.rows else [],
                 xlabel=shown.columns, ylabel=shown.rows)
        axes.set_title(title.replace(': ', '\n'), fontsize=8.5, color=style.ink, parse_math=False)
        used.append(axes)
    bar = figure.colorbar(image, ax=used, fraction=0.03, pad=0.02)
    bar.ax.tick_params(colors=style.muted, labelcolor=style.ink, labelsize=8)
    bar.outline.set_edgecolor(style.muted)
    bar.set_label(shown.unit, color=style.ink, fontsize=9)
    return figure


def _numbers(length: int) -> range:
    return range(0, length, -(-length // MOST_NUMBERS))
