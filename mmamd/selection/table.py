"""The table of the networks that a selection has judged: as rows, for all who show it, and as text."""

from collections.abc import Mapping
from dataclasses import dataclass

from mmamd.selection.bootstrap import LEVEL, standard_error
from mmamd.selection.choice import score_intervals
from mmamd.structures import Cost, Measurement, Selection


@dataclass(frozen=True)
class Row:
    """One network of a selection.

    Attributes:
        name: Its key.
        scale: Nominal scale; None of a network that is no cut of the teacher.
        macs, params: What it costs; None where nobody has counted.
        value, stderr: Performance on the held-out images as a fraction, None where it was not read; the error is None
            without bootstrap draws.
        scores: Rule -> score; without those that the network has none of.
        test_value: Performance on the test images as a fraction; None where they were not read.
        is_chosen: Whether it is the choice.
        is_eligible: Whether it could have been.
        collapsed: In what way it has collapsed; None for a sound network.
    """

    name: str
    scale: float | None
    macs: int | None
    params: int | None
    value: float | None
    stderr: float | None
    scores: dict[str, float]
    test_value: float | None
    is_chosen: bool
    is_eligible: bool
    collapsed: str | None = None


def rows_of(selection: Selection, costs: Mapping[str, Cost | None] | None = None,
            test: Mapping[str, float] | None = None) -> list[Row]:
    """One row a network that was judged, ascending by scale.

    Args:
        selection: What was measured and chosen.
        costs: Key -> cost.
        test: Key -> performance on the test images, as a fraction.
    """
    rows = []
    for i, m in enumerate(selection.measurements):
        cost = (costs or {}).get(m.key)
        scores = {name: values[i] for name, values in selection.scores.items() if values[i] is not None}
        rows.append(Row(m.key, m.scale, cost and cost.macs, cost and cost.params, m.value,
                        standard_error(m.resampled) if m.resampled else None, scores, (test or {}).get(m.key),
                        m.key == selection.chosen, bool(scores), m.collapsed))
    return rows


def format_table(selection: Selection, costs: Mapping[str, Cost | None] | None = None,
                 reference_cost: Cost | None = None) -> str:
    """The selection as aligned plain text: one line a network, then the warnings.

    Columns: network, performance in percent with its standard error, the score of each rule, that of the first with
    its interval, MACs and parameters where they are known, and the role. ``-`` stands where there is nothing to show.
    """
    rules = list(selection.scores)
    intervals = score_intervals(selection)
    has_costs = bool(costs)
    has_names = any(m.name is not None for m in selection.measurements)
    header = ['network' if has_names else 'scale', 'percent', *rules, *(['MACs', 'params'] * has_costs), 'role']
    lines = []
    for i, row in enumerate(rows_of(selection, costs)):
        scores = [_score_text(row.scores.get(name), intervals[name][i] if name == rules[0] else None)
                  for name in rules]
        amounts = [_amount(row.macs), _amount(row.params)] if has_costs else []
        role = ('<- chosen' if row.is_chosen else 'collapsed' if row.collapsed else
                '' if row.is_eligible else 'not eligible')
        lines.append([row.name, _value_text(selection.measurements[i]), *scores, *amounts, role])
    reference = [] if not has_costs else [_amount(reference_cost and reference_cost.macs),
                                          _amount(reference_cost and reference_cost.params)]
    lines.append([selection.reference.key, _value_text(selection.reference), *('-' for _ in rules), *reference,
                  'reference'])
    title = f'chosen: {selection.chosen}, by the rule {selection.rule}'
    if selection.reference.resampled:
        title += (f'; +- is the standard error, [] the {LEVEL:.0%} interval of '
                  f'{len(selection.reference.resampled)} bootstrap draws')
    return '\n'.join([title, *_aligned([header, *lines]), *(f'warning: {text}' for text in selection.warnings)])


def _amount(amount: int | None) -> str:
    return '-' if amount is None else amount_text(amount)


def _value_text(m: Measurement) -> str:
    return f'{100 * m.value:.2f}' + (f' +- {100 * standard_error(m.resampled):.2f}' if m.resampled else '')


def _score_text(score: float | None, score_interval: tuple[float, float] | None = None) -> str:
    if score is None:
        return '-'
    text = signed(score)
    return text if score_interval is None else f'{text} [{signed(score_interval[0])}, {signed(score_interval[1])}]'


def signed(number: float) -> str:
    """0.25 -> '+0.2500'."""
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
