"""The figure of a selection: performance over scale, the chosen network, and the rule's score."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmamd.selection.bootstrap import LEVEL, interval
from mmamd.selection.choice import CHEAPEST, MANUAL, rivals_of, score_intervals
from mmamd.selection.rules import known_as
from mmamd.structures import Measurement, Selection
from mmamd.visualization.style import LIGHT, Style, new_figure, percent, save_figure

# Parts of the height that the two curves have for themselves, so that they never cross.
SCORE_BAND, PERFORMANCE_BAND, WHOLE_BAND = (0.03, 0.35), (0.4, 1.0), (0.06, 0.97)
TICK_STEPS = [1, 2, 2.5, 5, 10]
ERROR_BAR = dict(capsize=2.5, elinewidth=1.0)
MOST_LETTERS = 55  # of names side by side, between the first tick and the last; longer ones stand upright


@dataclass(frozen=True)
class OnTestImages:
    """Performances on the test images, as fractions; they choose nothing.

    Attributes:
        teacher: The teacher's.
        networks: Those of the networks, by their keys, as far as they were judged on these images too.
        students: Those of the students once they have been distilled, by their scales.
    """

    teacher: float
    networks: dict[str, float]
    students: dict[float, float]


def plot_selection(selection: Selection, scale_of: str, path: str | Path, has_student: bool = True,
                   are_slices: bool = True) -> None:
    """Save :func:`selection_figure` as a PNG file; its folder is made."""
    save_figure(selection_figure(selection, scale_of, None, has_student, are_slices), path)


def selection_figure(selection: Selection, scale_of: str, tested: OnTestImages | None = None, has_student: bool = True,
                     are_slices: bool = True, style: Style = LIGHT) -> Figure:
    """Performance over scale with bootstrap intervals, and below it the rule's score on a second y axis.

    The teacher is a diamond on a dashed line, the choice a ring on both curves, the student before its distillation a
    square. The score is that of the rule that chose or by which the cheapest was chosen, or npsd where the choice was
    manual. Networks that have one scale stand side by side under their names, and have no score but their performance.

    Args:
        selection: What to draw; without bootstrap draws there are no error bars.
        scale_of: What of the teacher's the scale is a fraction of, as :func:`~mmamd.visualization.units.scale_of` says.
        tested: What is known on the test images, once a run is finished: a dotted line up to the teacher, the distilled
            students as stars. It is compared with itself; networks that have one scale are drawn without it.
        has_student: Whether the student is a candidate; one of another architecture is none of them. It is marked where
            it has been judged: the one above which there was a choice.
        are_slices: Whether the networks share their weights.
        style: Colours.
    """
    figure = new_figure(style, 7.2, 4.8)
    upper = figure.add_subplot()
    places = _places(selection)
    rule = selection.shown_rule
    has_score = known_as(rule).by_scale
    band = PERFORMANCE_BAND if has_score else WHOLE_BAND
    student = student_label(are_slices) if has_student else None
    handles = _draw_performance(upper, selection, places, student, style)
    if tested is not None and selection.has_scales:
        handles += _draw_tested(upper, places, tested, style)
    _colour_axis(upper, 'Performance (%)', style.blue, band)
    upper.yaxis.set_major_formatter(percent)
    if has_score:
        lower = upper.twinx()
        handles += _draw_score(lower, selection, rule, places, style)
        _give_band(lower, SCORE_BAND, 4, style)
    _give_band(upper, band, 6, style)
    upper.set_facecolor(style.paper)
    upper.axvline(places[selection.chosen], color=style.ink, linewidth=0.8, linestyle=':', zorder=1)
    if selection.has_scales:
        upper.xaxis.set_major_locator(MaxNLocator(nbins=11, steps=TICK_STEPS))
        upper.set_xlabel(f"Scale (fraction of the teacher's {scale_of})", color=style.ink)
    else:
        is_crowded = (len(places) - 1) * max(map(len, places)) > MOST_LETTERS
        upper.set_xticks(list(places.values()), list(places), rotation=90 if is_crowded else 0)
        upper.margins(x=0.15)
        upper.set_xlabel('Network', color=style.ink)
    upper.tick_params(axis='x', colors=style.ink)
    # The title belongs to the legend, outside of the data, so that the two are laid out together.
    legend = figure.legend(
        title=f'{selection.chosen} chosen {_by(selection)}',
        handles=handles, loc='outside upper center', ncols=3, frameon=False, title_fontsize=11, fontsize=8.5,
        labelcolor=style.ink, handlelength=2.2, columnspacing=1.8)
    legend.get_title().set_color(style.ink)
    return figure


def student_label(are_slices: bool) -> str:
    """What the student is called as it was judged among the candidates."""
    return f'student, {"shared weights" if are_slices else "before distillation"}'


def _by(selection: Selection) -> str:
    if selection.rule == MANUAL:
        return 'by hand'
    by = f'by {known_as(CHEAPEST.get(selection.rule, selection.rule)).label}'
    if selection.rule in CHEAPEST and selection.reference.resampled:
        return f'{by}, the smallest to overlap the best'
    num = len(rivals_of(selection))
    return f'{by}, within noise of {num} other{"s" * (num != 1)}' if num else by


def _places(selection: Selection) -> dict[str, float]:
    """Where each network stands on the x axis."""
    return {m.key: m.scale if selection.has_scales else float(i) for i, m in enumerate(selection.measurements)}


def _draw_performance(axes: Axes, selection: Selection, places: dict[str, float], student: str | None,
                      style: Style) -> list:
    """Draws the curve and the marked networks; returns what the legend shows."""
    reference, networks = selection.reference, selection.measurements
    line = axes.axhline(reference.value, color=style.muted, linewidth=1.0, linestyle='--', zorder=1,
                        label=f'teacher ({100 * reference.value:.1f} %)')
    handles = [axes.errorbar(
        [places[m.key] for m in networks], [m.value for m in networks], yerr=_value_bars(networks), color=style.blue,
        marker='o', markersize=5, linewidth=1.6 if selection.has_scales else 0., zorder=3,
        label=_with_interval('candidate', selection), **ERROR_BAR)]
    if selection.has_scales:
        handles.append(axes.errorbar(
            [reference.scale], [reference.value], yerr=_value_bars([reference]), color=style.muted, marker='D',
            markersize=6, markerfacecolor=style.ink, markeredgecolor=style.ink, linewidth=1.0, linestyle='--',
            zorder=3, label=f'teacher ({100 * reference.value:.1f} %)', **ERROR_BAR))
    else:
        handles.append(line)
    below = [m for m in networks if selection.above is not None and m.scale <= selection.above]
    for m in networks:
        if m.key == selection.chosen:
            handles += _ring(axes, places[m.key], m.value, style, f'chosen ({100 * m.value:.1f} %)')
        elif student is not None and m in below[-1:]:
            handles += axes.plot([places[m.key]], [m.value], color=style.green, marker='s', markersize=7,
                                 linestyle='none', label=f'{student} ({100 * m.value:.1f} %)', zorder=4)
    return handles


def _draw_tested(axes: Axes, places: dict[str, float], tested: OnTestImages, style: Style) -> list:
    """Draws what is known on the test images; returns what the legend shows."""
    line = axes.plot([*(places[key] for key in tested.networks), 1.], [*tested.networks.values(), tested.teacher],
                     color=style.muted, marker='.', markersize=5, linewidth=1.2, linestyle=':', zorder=2,
                     label='on the test images')
    values = ', '.join(f'{100 * value:.1f}' for value in tested.students.values())
    return line + axes.plot(
        list(tested.students), list(tested.students.values()), color=style.green, marker='*', markersize=12,
        linestyle='none', zorder=5, label=f'distilled, test ({values} %)')


def _draw_score(axes: Axes, selection: Selection, rule: str, places: dict[str, float], style: Style) -> list:
    """Draws the score of the rule; returns what the legend shows."""
    rows = [(places[m.key], score, bounds) for m, score, bounds
            in zip(selection.measurements, selection.scores[rule], score_intervals(selection)[rule], strict=True)
            if score is not None]
    xs, scores, bounds = (list(column) for column in zip(*rows, strict=True))
    label = known_as(rule).label
    handle = axes.errorbar(xs, scores, yerr=None if None in bounds else _bars(scores, bounds),
                           color=style.orange, marker='^', markersize=5, linewidth=1.6, zorder=3,
                           label=_with_interval(label, selection), **ERROR_BAR)
    chosen = places[selection.chosen]
    _ring(axes, chosen, scores[xs.index(chosen)], style)
    _colour_axis(axes, f'{label}\n({known_as(rule).unit})', style.orange, SCORE_BAND)
    return [handle]


def _ring(axes: Axes, x: float, y: float, style: Style, label: str | None = None) -> list:
    return axes.plot([x], [y], color=style.ink, marker='o', markersize=12, markerfacecolor='none', markeredgewidth=1.8,
                     linestyle='none', label=label, zorder=5)


def _colour_axis(axes: Axes, label: str, colour: str, band: tuple[float, float]) -> None:
    """A y axis in the colour of its curve, its label beside its band."""
    axes.set_ylabel(label, color=colour, y=sum(band) / 2)
    axes.tick_params(axis='y', colors=colour, length=0)


def _give_band(axes: Axes, band: tuple[float, float], num_ticks: int, style: Style) -> None:
    """Stretch the y range so that what is drawn fills ``band`` (fractions of the height), with ticks only there."""
    low, high = axes.get_ylim()
    height = (high - low) / (band[1] - band[0])
    axes.set_ylim(low - band[0] * height, high + (1 - band[1]) * height)
    ticks = MaxNLocator(nbins=num_ticks, steps=TICK_STEPS).tick_values(low, high)
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.grid(axis='y', color=style.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ('top', 'left', 'right'):
        axes.spines[side].set_visible(False)
    axes.spines['bottom'].set_color(style.muted)


def _with_interval(name: str, selection: Selection) -> str:
    return f'{name}, {LEVEL:.0%} interval' if selection.reference.resampled else name


def _value_bars(networks: list[Measurement]) -> np.ndarray | None:
    if not networks[0].resampled:
        return None
    return _bars([m.value for m in networks], [interval(m.resampled) for m in networks])


def _bars(centres: list[float], bounds: list[tuple[float, float]]) -> np.ndarray:
    """Lengths below and above, shape (2, I); 0 on a side where a percentile interval does not reach its centre."""
    return np.array([[max(0.0, centre - low), max(0.0, high - centre)]
                     for centre, (low, high) in zip(centres, bounds, strict=True)]).T
