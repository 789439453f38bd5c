"""The figure of what the best distillers of a search are made of."""

from collections import Counter

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmamd.visualization.searched import Tried
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

FIELDS = {'in': 'Input', 'trans': 'Transforms', 'dist': 'Distance', 'cal': 'Calibration', 'weight': 'Weight',
          'tau': 'Temperature'}
COLUMNS = 3
ROW = 0.19  # inches of a bar


def operations_figure(best: list[Tried], style: Style = LIGHT) -> Figure:
    """One panel a field of the genome, one bar a value: in how many of the distillers it stands.

    Numbers ascend, the most frequent of other values stands on top. Transforms that do nothing are not shown, and one
    that stands twice in a distiller counts once.

    Args:
        best: At least one.
        style: Colours.
    """
    counts = {field: _counted(best, field) for field in FIELDS}
    most = [max(len(counts[field]) for field in list(FIELDS)[at:at + COLUMNS]) for at in range(0, len(FIELDS), COLUMNS)]
    figure = new_figure(style, WIDTH, 0.2 + sum(0.75 + ROW * rows for rows in most))
    panels = figure.subplots(len(most), COLUMNS, gridspec_kw=dict(height_ratios=most))
    for place, (axes, (field, found)) in enumerate(zip(panels.flat, counts.items(), strict=True)):
        axes.barh(list(found), list(found.values()), color=style.blue, height=0.62)
        axes.set(title=FIELDS[field], xlim=(0, len(best)), ylim=(most[place // COLUMNS] - 0.5, -0.5))
        dress(axes, style, grid='x')
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.tick_params(axis='y', length=0)
    figure.supxlabel(f'Distillers, of the {len(best)} best', fontsize=9, color=style.ink)
    return figure


def _counted(best: list[Tried], field: str) -> dict[str, int]:
    counts = Counter(value for trial in best for value in dict.fromkeys(trial.fields[field])
                     if (field, value) != ('trans', 'no'))
    if field in ('weight', 'tau'):
        return dict(sorted(counts.items(), key=lambda item: float(item[0])))
    return dict(counts.most_common()) or {'none': 0}
