"""The figure of a refit: what networks do as they were cut and as they were made good, and what each branch misses."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from mmamd.files.json_file import read_json, write_json
from mmamd.structures import scale_key
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure, percent
from mmamd.visualization.units import layer_labels, split_name

MOST_NETWORKS = 3  # whose branches are shown: the smallest, the largest, and one between
MOST_LETTERS = 92  # of layers' names, below all panels together
MARKERS = {'head': 'o', 'neuron': 's'}  # of kinds of branches; a diamond for all others
KINDS = {'head': 'attention', 'neuron': 'feed-forward'}


@dataclass(frozen=True)
class RefittedNetwork:
    """What a refit has done to one network.

    Attributes:
        scale: Nominal scale.
        cut, refit: Performance before and after on held-out images, as fractions; None where nobody has judged.
        macs_of_products: MACs of the products of its equations.
        errors: Step -> share of the variance of its targets that is missed, before and after, in network order.
    """

    scale: float
    cut: float | None
    refit: float | None
    macs_of_products: int
    errors: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Refitted:
    """What a stage refit has done.

    Attributes:
        num_images: Training images that it took.
        networks: Key -> what it has done to a network.
        metric: What was measured; None where nobody has judged.
        num_reported: Held-out images that it was measured on.
        teacher: Performance of the teacher on them, as a fraction.
    """

    num_images: int
    networks: dict[str, RefittedNetwork]
    metric: str | None = None
    num_reported: int = 0
    teacher: float | None = None

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Refitted':
        return read_json(path, lambda raw: cls(**{**raw, 'networks': {
            key: RefittedNetwork(**{**network, 'errors': {step: tuple(missed) for step, missed
                                                          in network['errors'].items()}})
            for key, network in raw['networks'].items()}}))

    @property
    def ascending(self) -> dict[str, RefittedNetwork]:
        """The networks by scale."""
        return dict(sorted(self.networks.items(), key=lambda item: item[1].scale))


def refit_figure(found: Refitted, scale_of: str = 'MACs', style: Style = LIGHT) -> Figure:
    """Performance over scale, cut and refit, and below it a panel a network with what each of its branches misses.

    Of more than three networks the branches of the smallest, the middle and the largest are shown. A single network's
    stand beside its performance. Where nobody has judged, there are these panels alone.

    Args:
        found: What the stage has left.
        scale_of: What of the teacher's the scale is a fraction of, as :func:`~mmamd.visualization.units.scale_of` says.
        style: Colours.
    """
    shown = _shown(list(found.ascending.items()))
    is_judged = found.teacher is not None
    figure, performance, panels = _laid_out(len(shown), is_judged, style)
    if is_judged:
        _draw_performance(performance, found, scale_of, style)
    for axes, (key, network) in zip(panels, shown, strict=True):
        _draw_errors(axes, network, MOST_LETTERS // max(2, len(panels)), style)
        axes.set_title(_title(key, network))
        dress(axes, style)
        axes.tick_params(labelleft=axes is panels[0])
    panels[0].set_ylabel('Share of the target missed', size=9, color=style.ink)
    panels[0].set_ylim(0, 1.08 * max(before for _, network in shown for before, _ in network.errors.values()) or 1.)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(handles=_handles(shown, is_judged, style), loc='outside upper center', ncols=6, frameon=False,
                  fontsize=8.5, labelcolor=style.ink, handlelength=1.8, columnspacing=1.6)
    return figure


def _laid_out(num: int, is_judged: bool, style: Style) -> tuple[Figure, Axes | None, list[Axes]]:
    """Figure, the panel of the performance, and those of the networks."""
    is_tall = is_judged and num > 1
    figure = new_figure(style, WIDTH, 5.6 if is_tall else 3.2)
    if is_tall:
        grid = figure.add_gridspec(2, num, height_ratios=[1.1, 1])
        places = grid[0, :], [grid[1, i] for i in range(num)]
    else:
        grid = figure.add_gridspec(1, num + is_judged, width_ratios=[1, 1.6] if is_judged else None)
        places = grid[0, 0], [grid[0, i + is_judged] for i in range(num)]
    panels = [figure.add_subplot(places[1][0])]
    panels += [figure.add_subplot(place, sharey=panels[0]) for place in places[1][1:]]
    return figure, figure.add_subplot(places[0]) if is_judged else None, panels


def _shown(networks: list) -> list:
    places = np.linspace(0, len(networks) - 1, min(MOST_NETWORKS, len(networks))).round().astype(int)
    return [networks[i] for i in places]


def _title(key: str, network: RefittedNetwork) -> str:
    scale = scale_key(network.scale)
    return f'Scale {scale}' + ('' if key == scale else f' ({key})')


def _draw_performance(axes: Axes, found: Refitted, scale_of: str, style: Style) -> None:
    networks = list(found.ascending.values())
    scales = [network.scale for network in networks]
    axes.axhline(found.teacher, color=style.muted, linewidth=1.0, linestyle='--', zorder=1)
    cut, refit = ([getattr(network, state) for network in networks] for state in ('cut', 'refit'))
    axes.vlines(scales, cut, refit, color=style.grid, linewidth=2.5, zorder=2)
    axes.plot(scales, cut, color=style.orange, linestyle=':', marker='o', markerfacecolor=style.paper, linewidth=1.6,
              markersize=5, zorder=3)
    axes.plot(scales, refit, color=style.blue, marker='o', linewidth=1.6, markersize=5, zorder=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.1 * max(*cut, *refit, found.teacher) or 1.)
    axes.set_xlabel(f"Scale (fraction of the teacher's {scale_of})")
    axes.set_ylabel('Performance (%)')
    axes.yaxis.set_major_formatter(percent)
    dress(axes, style, grid='both')


def _draw_errors(axes: Axes, network: RefittedNetwork, most_letters: int, style: Style) -> None:
    names = list(network.errors)
    missed = np.array(list(network.errors.values()))
    axes.vlines(range(len(names)), *missed.T, color=style.grid, linewidth=1.4)
    size = 4 if len(names) < 30 else 3
    for kind in dict.fromkeys(map(_kind, names)):
        places = [i for i, name in enumerate(names) if _kind(name) == kind]
        for state, look in ((0, dict(color=style.orange, markerfacecolor=style.paper)), (1, dict(color=style.blue))):
            axes.plot(places, missed[places, state], marker=MARKERS.get(kind, 'D'), markersize=size, linestyle='none',
                      zorder=3 + state, clip_on=False, **look)
    axes.set_xlim(-0.7, len(names) - 0.3)
    axes.set_xlabel('Layer')
    places, labels = _labels(names)
    step = -(-len(labels) * max(map(len, labels)) // most_letters)
    axes.set_xticks(places[::step], labels=labels[::step])


def _kind(name: str) -> str:
    kind = split_name(name)[1]
    return kind if kind in MARKERS else ''


def _labels(names: list[str]) -> tuple[list[float], list[str]]:
    """Where layers stand, in the middle of their branches, and how they are called; the classifier is not named."""
    layers: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if not _is_classifier(name):
            layers.setdefault(split_name(name)[0] if _kind(name) else name, []).append(i)
    labels = layer_labels([f'{layer}.any' for layer in layers])
    return [float(np.mean(places)) for places in layers.values()], labels


def _is_classifier(name: str) -> bool:
    return name.startswith('head.')


def _handles(shown: list, is_judged: bool, style: Style) -> list[Line2D]:
    """What the legend shows: states by colour, kinds of branches by marker."""
    handles = [Line2D([], [], color=style.muted, linewidth=1.0, linestyle='--', label='teacher')] if is_judged else []
    handles += [Line2D([], [], color=style.orange, linewidth=1.6, linestyle=':', marker='o', markersize=5,
                       markerfacecolor=style.paper, label='cut'),
                Line2D([], [], color=style.blue, linewidth=1.6, marker='o', markersize=5, label='refit')]
    names = [name for _, network in shown for name in network.errors]
    kinds = {KINDS[kind]: marker for kind, marker in MARKERS.items() if any(_kind(name) == kind for name in names)}
    others = [name for name in names if not _kind(name)]
    if others:
        is_branch = any(not _is_classifier(name) for name in others)
        kinds['block or classifier' if is_branch else 'classifier'] = 'D'
    return handles + [Line2D([], [], color=style.muted, marker=marker, markersize=4, linestyle='none', label=label)
                      for label, marker in kinds.items()]
