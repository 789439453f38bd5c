"""The selection as a table that people read."""

from mmamd.selection.npsd import LEVEL, score_intervals, standard_error
from mmamd.structures import CandidateFamily, Cost, Measurement, Selection, scale_key


def format_table(selection: Selection, family: CandidateFamily | None = None) -> str:
    """The selection as aligned plain text: one line a network, then the warnings.

    Columns: scale, performance with its standard error, npsd with its interval, every other rule's score, MACs and
    parameters if there is a family, and the role. ``-`` stands where there is nothing to show.

    Raises:
        KeyError: The family has no candidate of a measured scale.
    """
    others = [name for name in selection.scores if name != 'npsd']
    header = ['scale', 'value', 'npsd', *others]
    intervals = score_intervals(selection)['npsd']
    rows = [[scale_key(m.scale), _value_text(m), _score_text(selection.scores['npsd'][i], intervals[i]),
             *(_score_text(selection.scores[name][i]) for name in others)]
            for i, m in enumerate(selection.measurements)]
    rows.append([scale_key(selection.reference.scale), _value_text(selection.reference), '-', *('-' for _ in others)])
    networks = [*selection.measurements, selection.reference]
    if family is not None:
        costs = [_cost(family, m.scale) for m in networks]
        for name, amounts in (('MACs', [c.macs for c in costs]), ('params', [c.params for c in costs])):
            header.append(name)
            for row, amount in zip(rows, amounts, strict=True):
                row.append(amount_text(amount))
    header.append('role')
    for row, m in zip(rows, networks, strict=True):
        row.append(_role(selection, m))
    title = f'assistant {scale_key(selection.assistant)}, chosen by the rule {selection.rule}'
    if selection.reference.resampled:
        title += (f'; +- is the standard error, [] the {LEVEL:.0%} interval of '
                  f'{len(selection.reference.resampled)} bootstrap draws')
    return '\n'.join([title, *_aligned([header, *rows]), *(f'warning: {text}' for text in selection.warnings)])


def _role(selection: Selection, m: Measurement) -> str:
    if m is selection.reference:
        return 'reference'
    if m.scale == selection.assistant:
        return '<- assistant'
    return 'student' if m is selection.measurements[0] else ''  # the smallest of a family is its student


def _cost(family: CandidateFamily, scale: float) -> Cost:
    return family.teacher_cost if scale_key(scale) == scale_key(1.0) else family.at(scale).cost


def _value_text(m: Measurement) -> str:
    return f'{m.value:.4f}' + (f' +- {standard_error(m.resampled):.4f}' if m.resampled else '')


def _score_text(score: float | None, score_interval: tuple[float, float] | None = None) -> str:
    if score is None:
        return '-'
    text = _signed(score)
    return text if score_interval is None else f'{text} [{_signed(score_interval[0])}, {_signed(score_interval[1])}]'


def _signed(number: float) -> str:
    return f'{round(number, 4) + 0.0:+.4f}'  # adding 0 turns -0.0 into 0.0


def amount_text(amount: int) -> str:
    """1234567 -> '1.235 M'."""
    for unit, size in (('G', 10**9), ('M', 10**6), ('k', 10**3)):
        if amount >= size:
            return f'{amount / size:.3f} {unit}'
    return str(amount)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Right-aligned columns, but for the last."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join([*(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
            for row in rows]
