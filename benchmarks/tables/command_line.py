"""The command that runs a table of the paper, and prints it."""

import argparse
from functools import partial
from pathlib import Path

import study

from tables.jobs import job
from tables.show import draw, markdown, write_csv
from tables.table import BUDGETS, Table, find_table

ROWS = study.ROOT / 'results' / 'tables'


def main(arguments: list[str] | None = None) -> None:
    """Run the rows of a table that have not been run yet, and print all."""
    args = parser().parse_args(arguments)
    try:
        table = find_table(args.table)
        names = [table.row(name).name for name in args.rows or [row.name for row in table.rows]]
        table.recipe(args.budget)
    except ValueError as error:
        raise SystemExit(f'table.py: {error}') from None
    args.work_dir = args.work_dir or study.ROOT / 'work_dirs' / 'tables' / args.budget
    rows_file = rows_of(table, args)
    if not args.show:
        args.points = names
        study.run(args, {name: name for name in names}, rows_file, partial(job, table, args.budget))
    rows = study.read_rows(rows_file)
    print('\n'.join(markdown(table, args.budget, rows)))
    if args.csv:
        write_csv(table, rows, args.csv)
    if args.figure:
        draw(table, args.budget, rows, args.figure)


def rows_of(table: Table, args: argparse.Namespace) -> Path:
    """File of the finished rows: kept with the results, but for a smoke, which is none."""
    folder = args.work_dir if args.budget == 'smoke' else ROWS
    return folder / f'{table.name}_{args.budget}.jsonl'


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument('table', help='name of the table: table1, table4, ...')
    found.add_argument('--budget', choices=BUDGETS, default='micro')
    found.add_argument('--seeds', type=int, nargs='+', default=[0])
    found.add_argument('--rows', nargs='+', metavar='ROW', help='names of rows; all by default')
    found.add_argument('--data', type=Path, default=study.ROOT / 'data' / 'cifar100')
    found.add_argument('--teacher', type=Path, help="weights; by default the table's")
    found.add_argument('--work-dir', type=Path, help='of the runs (default: work_dirs/tables/BUDGET)')
    found.add_argument('--amp', action='store_true', help='bfloat16, where the machine multiplies in it')
    found.add_argument('--show', action='store_true', help='run nothing, print what has been run')
    found.add_argument('--csv', type=Path, metavar='FILE')
    found.add_argument('--figure', type=Path, metavar='FILE')
    return found
