"""The figure of the scoring: how important the units of each layer are, and which of them the student keeps."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmamd.pruning.ranking import normalise
from mmamd.structures import CandidateFamily, Importance, UnitGroup
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, log_where_it_helps, new_figure
from mmamd.visualization.units import groups_by_kind, layer_labels, split_name

MOST_IN_A_MAP = 32  # units of a layer; more are drawn as a sorted curve
MOST_POINTS = 160  # of a curve; more are not seen and make a large file


def importance_figure(importance: Importance, family: CandidateFamily | None = None, style: Style = LIGHT) -> Figure:
    """One panel a kind of units: a map of layer x unit where layers have few of them, else a sorted curve a layer.

    What is drawn is what is ranked: scores divided by the l2 norm of their layer and kind.

    Args:
        importance: Raw scores of every group.
        family: Marks what its student keeps: dots in a map, the end of what is kept on a curve. None marks nothing.
        style: Colours.
    """
    groups = [UnitGroup(name, split_name(name)[1], len(scores)) for name, scores in importance.scores.items()]
    scores, kinds = normalise(importance, groups), groups_by_kind(list(importance.scores))
    is_map = {kind: max(len(scores[name]) for name in names) <= MOST_IN_A_MAP for kind, names in kinds.items()}
    rows = max((len(names) for kind, names in kinds.items() if is_map[kind]), default=0)
    figure = new_figure(style, WIDTH if len(kinds) > 1 else 0.75 * WIDTH, max(3.6, 1.3 + 0.19 * rows))
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, (kind, names) in zip(panels, kinds.items(), strict=True):
        draw = _draw_map if is_map[kind] else _draw_curves
        draw(axes, kind, {name: scores[name] for name in names}, family, style)
    return figure


def _draw_map(axes: Axes, kind: str, scores: dict[str, list[float]], family: CandidateFamily | None,
              style: Style) -> None:
    widest = max(map(len, scores.values()))
    values = np.full((len(scores), widest), np.nan)  # layers may differ in width
    for row, own in enumerate(scores.values()):
        values[row, :len(own)] = own
    image = axes.imshow(values, cmap=style.amounts, vmin=0, aspect='auto', interpolation='none')
    if family is not None:
        kept = [(unit, row) for row, name in enumerate(scores)
                for unit in family.order[name][:family.student.kept[name]]]
        if kept:
            axes.scatter(*zip(*kept, strict=True), s=14, color=style.orange, edgecolor=style.paper, linewidth=0.6)
    dress(axes, style, grid=None)
    _label_layers(axes, list(scores))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=min(widest, 16), integer=True))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set(xlabel=f'{kind.capitalize()} (index in the teacher)', ylabel='Layer',
             title=f'{kind.capitalize()}s' + (' (dot: kept by the student)' if family is not None else ''))
    _colour_bar(axes, image, 'Importance / l2 norm of the layer', style)


def _draw_curves(axes: Axes, kind: str, scores: dict[str, list[float]], family: CandidateFamily | None,
                 style: Style) -> None:
    colours = style.ordered(len(scores))
    for colour, (name, own) in zip(colours, scores.items(), strict=True):
        descending = np.sort(own)[::-1]
        places = np.unique(np.linspace(0, len(own) - 1, MOST_POINTS).round().astype(int))
        axes.plot(places + 1, descending[places], color=colour, linewidth=1.2)
        last = family.student.kept[name] if family is not None else 0
        if last:
            axes.plot([last], [descending[last - 1]], marker='o', markersize=4.5, color=style.orange,
                      markeredgecolor=style.paper, markeredgewidth=0.6, zorder=3)
    log_where_it_helps(axes, np.concatenate(list(scores.values())))
    dress(axes, style, grid='both')
    axes.set(xlabel=f'Rank of the {kind} in its layer (1: most important)', ylabel='Importance / l2 norm of the layer',
             title=f'{kind.capitalize()}s' + (' (dot: last one that the student keeps)' if family is not None else ''))
    norm = BoundaryNorm(np.arange(len(scores) + 1) - 0.5, len(scores))
    bar = _colour_bar(axes, ScalarMappable(norm, ListedColormap(colours)), 'Layer', style)
    shown = range(0, len(scores), 1 + len(scores) // 16)
    bar.set_ticks(list(shown), labels=[layer_labels(list(scores))[i] for i in shown])
    bar.ax.tick_params(which='both', length=0)
    bar.ax.invert_yaxis()  # the first layer on top, as in a map


def _label_layers(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=layer_labels(names))


def _colour_bar(axes: Axes, mappable: ScalarMappable, label: str, style: Style):
    bar = axes.figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.02, aspect=30)
    bar.set_label(label, color=style.ink, size=8)
    bar.ax.tick_params(colors=style.muted, labelcolor=style.ink, labelsize=7.5)
    bar.outline.set_visible(False)
    return bar
