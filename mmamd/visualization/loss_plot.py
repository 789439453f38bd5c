"""The figure of a training stage: every loss term of every network that it trained, over the steps."""

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mmamd.files.training_log import Curve, Losses
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, log_where_it_helps, new_figure

MOST_POINTS = 120  # of a curve; more would hide the course in noise and make a large file


def condense(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """The curve itself, or where it is longer than ``most`` the means over pieces of equal length, at most so many."""
    length = -(-len(curve.steps) // most)
    if length <= 1:
        return curve
    pieces = [slice(begin, begin + length) for begin in range(0, len(curve.steps), length)]
    return Curve([round(float(np.mean(curve.steps[piece]))) for piece in pieces],
                 [float(np.mean(curve.values[piece])) for piece in pieces])


def loss_figure(losses: Losses, style: Style = LIGHT) -> Figure:
    """One panel a term and one line a network; for a single network one panel with one line a term.

    Args:
        losses: From :func:`read_losses`; terms are drawn as they were minimised, that is with their weights.
        style: Colours.

    Raises:
        ValueError: There is no loss to draw.
    """
    networks = list(dict.fromkeys(network for curves in losses.values() for network in curves))
    if not networks:
        raise ValueError('no losses to draw: expected rows with names such as 0.30.loss_ce or loss')
    if len(networks) == 1:
        return _one_network(losses, networks[0], style)
    columns = min(2, len(losses))
    rows = -(-len(losses) // columns)
    figure = new_figure(style, WIDTH, 2.6 * rows + 0.2)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(losses):]:
        axes.remove()
    colours = dict(zip(networks, style.ordered(len(networks)), strict=True))
    for axes, (term, curves) in zip(panels.flat, losses.items(), strict=False):
        for network, curve in curves.items():
            _line(axes, curve, color=colours[network])
        _finish(axes, list(curves.values()), style)
        axes.set_title(_title(term))
    handles = [Line2D([], [], color=colours[network], linewidth=1.8, label=network) for network in networks]
    _legend(figure, handles, 'Scale', style)
    return figure


def _one_network(losses: Losses, network: str, style: Style) -> Figure:
    figure = new_figure(style, WIDTH * 0.75, 3.2)
    axes = figure.add_subplot()
    looks = [(style.ink, '-'), (style.blue, '-'), (style.orange, '--'), (style.green, '-.'), (style.muted, ':'),
             (style.blue, ':'), (style.orange, '-'), (style.green, '--'), (style.ink, '-.')]
    handles = []
    for (colour, dashes), (term, curves) in zip(cycle(looks), losses.items(), strict=False):
        handles += _line(axes, curves[network], color=colour, linestyle=dashes, label=_title(term))
    _finish(axes, [curves[network] for curves in losses.values()], style)
    if len(losses) > 1:
        _legend(figure, handles, 'Term', style)
    return figure


def _title(term: str) -> str:
    """Of a term: the name that the config gives it."""
    return 'sum of the terms' if term == 'loss' else term.removeprefix('loss_')


def _line(axes: Axes, curve: Curve, **look) -> list[Line2D]:
    curve = condense(curve)
    return axes.plot(curve.steps, curve.values, linewidth=1.4, marker='.' if len(curve.steps) == 1 else None, **look)


def _finish(axes: Axes, curves: list[Curve], style: Style) -> None:
    log_where_it_helps(axes, np.concatenate([curve.values for curve in curves]))
    dress(axes, style, grid='both')
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    length = max(-(-len(curve.steps) // MOST_POINTS) for curve in curves)
    axes.set_ylabel('Weighted loss' + (f'\n(mean of {length} entries of the log)' if length > 1 else ''))
    axes.set_xlabel('Step')


def _legend(figure: Figure, handles: list[Line2D], title: str, style: Style) -> None:
    legend = figure.legend(handles=handles, title=title, loc='outside right center', frameon=False, fontsize=8,
                           title_fontsize=8.5, labelcolor=style.ink, handlelength=1.6, ncols=1 + len(handles) // 25)
    legend.get_title().set_color(style.ink)
