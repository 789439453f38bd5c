"""A table with the paper's figures beside ours: Markdown, CSV, and a picture. What was not measured is not there."""

import csv
import textwrap
from collections import defaultdict
from pathlib import Path

import numpy as np
import study
from compare_runs import performance

from tables.table import Row, Table

HEAD = ('row', 'paper', 'cost in the paper', 'ours, {measure} %', 'seeds',
        'difference to "{reference}", points [95 %]', '', 'TMACs', 'trainings', 'note')

NUM_DRAWS = 500  # of the bootstrap of a bar


def cells_of(table: Table, rows: list[dict]) -> list[tuple[str, ...]]:
    """The cells of all rows of a table, as text.

    Args:
        table: The table.
        rows: Finished jobs of it, all of one budget.
    """
    by_name = _by_name(rows)
    return [(row.name, _percent(row.paper), row.cost or '-', *_ours(by_name.get(row.name, {}), by_name.get(
        table.reference, {})), row.note) for row in table.rows]


def markdown(table: Table, budget: str, rows: list[dict]) -> list[str]:
    """Lines of a table, with what is to be known of it."""
    head = _head_of(table)
    lines = [f'**{table.title}** ({table.source}), budget {budget}', '']
    lines += [f'| {" | ".join(cells)} |' for cells in (head, ['---'] * len(head), *cells_of(table, rows))]
    of_smoke = ['Digits and a few steps: that all rows run is all that this shows.'] if budget == 'smoke' else []
    return [*lines, '', *(f'- {note}' for note in [*table.notes, *of_smoke])]


def _head_of(table: Table) -> list[str]:
    return [each.format(reference=table.reference, measure=table.measure) for each in HEAD]


def write_csv(table: Table, rows: list[dict], path: Path) -> None:
    """The same cells as a file of comma-separated values."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(cell or 'verdict' for cell in _head_of(table))
        writer.writerows(cells_of(table, rows))


def draw(table: Table, budget: str, rows: list[dict], path: Path) -> None:
    """Our figures with intervals over the judging images and seeds: points, or curves over the table's axis."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    values = (_gains if table.gain else _tops)(table, budget, _by_name(rows))
    measured = [row for row in table.rows if row.name in values]
    tops = np.array([values[row.name][0] for row in measured])
    errors = np.array([(value - low, high - value) for value, low, high in map(values.get, [
        row.name for row in measured])]).T
    shown = f'gain over "{table.reference}", points' if table.gain else f'{table.measure}, %'
    fig, axes = plt.subplots(figsize=(7, 4 if table.axis else 1.5 + 0.35 * len(measured)), layout='constrained')
    if table.axis:
        _draw_curves(axes, measured, tops, errors)
        axes.set(xlabel=table.axis, ylabel=shown)
    else:
        # Points: a bar would have to begin at 0, where differences of a point cannot be seen.
        axes.errorbar(tops, [row.name for row in measured], xerr=errors, marker='o', linestyle='', capsize=3)
        axes.set(xlabel=shown, ylim=(len(measured) - 0.3, -0.7))  # the first row at the top
    # Of the figure: long names leave little width to the axes.
    fig.suptitle(textwrap.fill(f'{table.title}, {budget} budget', 60))
    axes.grid(alpha=0.3, axis='y' if table.axis else 'x')
    study.save_figure(fig, path, rows)
    plt.close(fig)


def _tops(table: Table, budget: str, by_name: dict[str, dict[int, dict]]) -> dict[str, np.ndarray]:
    """Name of a row that was run -> its top-1 in percent, and the ends of its interval."""
    found = {row.name: by_name[row.name] for row in table.rows if row.name in by_name}
    if not found:
        raise ValueError(f'{table.name}: no row has been run at the budget {budget!r}, so there is nothing to draw')
    return {name: np.array([100 * np.mean([row['accuracy'] for row in seeds.values()]), *_interval(seeds)])
            for name, seeds in found.items()}


def _gains(table: Table, budget: str, by_name: dict[str, dict[int, dict]]) -> dict[str, np.ndarray]:
    """Name of a row -> its paired difference to the reference in points, and the ends of its interval.

    A row that has no seed in common with the reference is left out; the reference itself has 0.
    """
    found = {row.name: study.difference(by_name[row.name], by_name.get(table.reference, {})) for row in table.rows
             if row.name in by_name}
    found = {name: np.array(difference) for name, difference in found.items() if difference is not None}
    if found.keys() <= {table.reference}:
        raise ValueError(f'{table.name}: no row has been run at the budget {budget!r} with a seed that '
                         f'{table.reference!r} has too, so there is no gain to draw; run that row and another one')
    return found


def _draw_curves(axes, measured: list[Row], tops: np.ndarray, errors: np.ndarray) -> None:
    """Rows by their curves, from left to right; a row that has no place on the axis is a level line."""
    for name in dict.fromkeys(row.curve for row in measured if row.x is not None):
        own = sorted((row.x, i) for i, row in enumerate(measured) if row.x is not None and row.curve == name)
        places, numbers = zip(*own, strict=True)
        axes.errorbar(places, tops[list(numbers)], yerr=errors[:, list(numbers)], marker='o', capsize=3, label=name)
    for row, top in zip(measured, tops, strict=True):
        if row.x is None:
            axes.axhline(top, linestyle='--', color='grey', label=row.name)
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend()


def _by_name(rows: list[dict]) -> dict[str, dict[int, dict]]:
    """Name of a row -> seed -> its finished job."""
    found = defaultdict(dict)
    for row in rows:
        found[row['point']][row['seed']] = row
    return found


def _ours(seeds: dict[int, dict], reference: dict[int, dict]) -> tuple[str, ...]:
    if not seeds:
        return 'not run', '-', '', '', '-', '-'
    tops = 100 * np.array([row['accuracy'] for row in seeds.values()])
    error = f' ± {tops.std(ddof=1) / len(tops) ** 0.5:.2f}' if len(tops) > 1 else ''
    macs = np.mean([row['macs'] for row in seeds.values()]) / 1e12
    trainings = sorted({str(row['trainings']) for row in seeds.values()})
    return (f'{tops.mean():.2f}{error}', str(len(seeds)), *study.against(seeds, reference).split(' | '),
            f'{macs:.3g}', '/'.join(trainings))


def _interval(seeds: dict[int, dict]) -> tuple[float, float]:
    """Ends of the bootstrap interval of an accuracy, in percent."""
    each = np.stack([study.judging(row) for row in seeds.values()])
    draws = study.drawn(each, lambda found: np.mean([performance(of_seed) for of_seed in found]), NUM_DRAWS)
    low, high = np.quantile(draws, [0.025, 0.975])
    return 100 * low, 100 * high


def _percent(paper: float | str | None) -> str:
    return '-' if paper is None else paper if isinstance(paper, str) else f'{paper:.2f}'
