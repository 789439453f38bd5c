"""The figure of several students: performance over what they cost."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmamd.structures import Cost
from mmamd.visualization.students import Student
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure
from mmamd.visualization.units import short_amount


def students_figure(students: Sequence[Student], teacher_cost: Cost, teacher_value: float,
                    style: Style = LIGHT) -> Figure:
    """Performance on the test images over MACs, and over their times where all have been measured.

    Args:
        students: With their performances, ascending by scale.
        teacher_cost, teacher_value: Of the teacher, a diamond on a dashed line.
        style: Colours.
    """
    is_timed = all(student.seconds is not None for student in students)
    figure = new_figure(style, WIDTH if is_timed else WIDTH * 0.75, 3.6)
    panels = figure.subplots(1, 1 + is_timed, squeeze=False, sharey=True)[0]
    macs = [student.cost.macs for student in students]
    _draw(panels[0], macs, students, teacher_value, style)
    panels[0].plot([teacher_cost.macs], [100 * teacher_value], color=style.ink, marker='D', markersize=6,
                   linestyle='none', zorder=3)
    panels[0].set(xscale='log', xlabel='MACs of an image', ylabel='Performance on the\ntest images (%)')
    ticks = [*macs, teacher_cost.macs]
    panels[0].set_xticks(ticks, [short_amount(tick) for tick in ticks], rotation=30, ha='right')
    panels[0].set_xticks([], minor=True)
    panels[0].legend(frameon=False, fontsize=8, labelcolor=style.ink, loc='lower right')
    if is_timed:
        _draw(panels[1], [1e3 * student.seconds for student in students], students, teacher_value, style)
        panels[1].set_xlabel('Time (ms)')
    return figure


def _draw(axes: Axes, xs: list[float], students: Sequence[Student], teacher_value: float, style: Style) -> None:
    values = [100 * student.value for student in students]
    axes.axhline(100 * teacher_value, color=style.muted, linewidth=1.0, linestyle='--', zorder=1,
                 label=f'teacher ({100 * teacher_value:.2f})')
    axes.plot(xs, values, color=style.green, marker='*', markersize=11, linewidth=1.4, zorder=3, label='students')
    for x, value, student in zip(xs, values, students, strict=True):
        axes.annotate(f'{student.key}: {value:.2f}', (x, value), xytext=(7, -12), textcoords='offset points',
                      ha='left', fontsize=8, color=style.ink)
    dress(axes, style, grid='both')
    axes.margins(x=0.25, y=0.2)
