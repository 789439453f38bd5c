"""Run a table, as the command asks for it, and print it."""

import argparse
from functools import partial
from pathlib import Path

import study

from tables.jobs import job
from tables.show import draw, markdown, write_csv
from tables.table import Table, find_table

ROWS = study.ROOT / 'results' / 'tables'


def run_table(args: argparse.Namespace) -> None:
    """Run the rows of a table that have not been run yet, unless it is only to be shown, and print all.

    Args:
        args: Of the command, with ``data`` and ``work_dir`` None for their defaults.

    Raises:
        ValueError: If there is no such table, row, or recipe of this budget, or nothing to draw.
    """
    table = find_table(args.table)
    args.points = [table.row(name).name for name in args.rows or [row.name for row in table.rows if row.runs]]
    if not args.show:
        table.recipe(args.budget)
        if alone := [name for name in args.points if not table.row(name).runs]:
            raise ValueError(f"{table.name}: the row {alone[0]!r} is the paper's alone and cannot be run; --show shows "
                             'its figure')
    if args.budget == 'micro' and not table.is_dense:
        args.data = args.data or study.ROOT / 'data' / 'cifar100'
    args.work_dir = args.work_dir or study.ROOT / 'work_dirs' / 'tables' / args.budget
    file = rows_file(table, args)
    args.work_dir /= table.name  # rows of two tables may have one name
    if not args.show:
        study.run(args, {name: name for name in args.points}, file, partial(job, table, args.budget))
    rows = study.read_rows(file)
    print('\n'.join(markdown(table, args.budget, rows)))
    if args.csv:
        write_csv(table, rows, args.csv)
    if args.figure:
        draw(table, args.budget, rows, args.figure)


def rows_file(table: Table, args: argparse.Namespace) -> Path:
    """Where finished rows are: with the results, but for a smoke, which is none."""
    folder = args.work_dir if args.budget == 'smoke' else ROWS
    return folder / f'{table.name}_{args.budget}.jsonl'
