"""The figure of the nesting: how many units each layer keeps at each scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmamd.structures import CandidateFamily, scale_key
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure
from mmamd.visualization.units import groups_by_kind, layer_labels

CELL = (0.36, 0.19)  # inches, width and height; room for four digits
LEAST_WIDTH = 4.4  # inches of a panel; room for what stands below it


def kept_figure(family: CandidateFamily, assistants: tuple[float, ...] = (), has_student: bool = True,
                students: tuple[float, ...] = (), style: Style = LIGHT) -> Figure:
    """One panel a kind of units: layer x scale, with the number kept in each cell; the last column is the teacher's.

    Args:
        family: Candidates, ascending by scale.
        assistants: Scales of the chosen assistants, named below the columns.
        has_student: Whether students are candidates.
        students: Their scales; that of the smallest candidate if none is given.
        style: Colours.
    """
    kinds = groups_by_kind(list(family.order))
    panel_width = max(LEAST_WIDTH, 0.8 + CELL[0] * (len(family.candidates) + 1))
    columns = min(len(kinds), max(1, int(WIDTH / panel_width + 0.1)))
    rows = -(-len(kinds) // columns)
    panel_height = 1.25 + CELL[1] * max(len(names) for names in kinds.values())
    figure = new_figure(style, columns * panel_width + 0.6, max(2.4, rows * panel_height))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(kinds):]:
        axes.remove()
    label = _scale_label(assistants, (students or (family.student.scale,)) if has_student else ())
    images = [_draw(axes, kind, names, family, label, style)
              for axes, (kind, names) in zip(panels.flat, kinds.items(), strict=False)]
    bar = figure.colorbar(images[0], ax=list(panels.flat[:len(kinds)]), fraction=0.03, pad=0.01, aspect=30)
    bar.set_label('Fraction of the units kept', color=style.ink, size=8)
    bar.ax.tick_params(colors=style.muted, labelcolor=style.ink, labelsize=7.5)
    bar.outline.set_visible(False)
    return figure


def _draw(axes: Axes, kind: str, names: list[str], family: CandidateFamily, label: str, style: Style):
    totals = [len(family.order[name]) for name in names]
    kept = np.array([[c.kept[name] for c in family.candidates] + [total]
                     for name, total in zip(names, totals, strict=True)])
    fractions = kept / np.array(totals)[:, None]
    image = axes.imshow(fractions, cmap=style.amounts, vmin=0, vmax=1, aspect='auto', interpolation='none')
    for row, column in np.ndindex(kept.shape):
        axes.text(column, row, str(kept[row, column]), ha='center', va='center', fontsize=7,
                  color=style.ink_on(fractions[row, column]))
    dress(axes, style, grid=None)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    keys = [c.key for c in family.candidates]
    axes.set_xticks(range(len(keys) + 1), labels=[*keys, '1.00'], fontsize=7)
    axes.set_yticks(range(len(names)), labels=layer_labels(names))
    axes.set(ylabel='Layer', title=f'{kind.capitalize()}s kept')
    axes.set_xlabel(label, size=8)
    return image


def _scale_label(assistants: tuple[float, ...], students: tuple[float, ...]) -> str:
    roles = [f'{" and ".join(map(scale_key, scales))}: {role}{"s" * (len(scales) > 1)}'
             for role, scales in (('student', students), ('assistant', assistants)) if scales]
    return f'Scale\n({", ".join([*roles, "1.00: teacher"])})'
