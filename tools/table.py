"""Run a table of the paper, row by row, and print its figures beside ours. In a clone of the repository."""

import argparse
import sys
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / 'benchmarks'  # where they are, as data


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('table', help='name of the table: table1, table4, ...; an unknown one lists them')
    parser.add_argument('--budget', choices=['smoke', 'micro', 'full'], default='micro',
                        help='digits and seconds; a small study on a CPU, the default; the size of the paper')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='names of rows; all by default')
    parser.add_argument('--data', type=Path, help='folder of CIFAR-100 (default: data/cifar100)')
    parser.add_argument('--teacher', type=Path, help="weights of the teacher; by default the table's")
    parser.add_argument('--work-dir', type=Path, help='of the runs (default: work_dirs/tables/BUDGET)')
    parser.add_argument('--amp', action='store_true', help='train in automatic mixed precision')
    parser.add_argument('--show', action='store_true', help='run nothing, print what has been run')
    parser.add_argument('--csv', type=Path, metavar='FILE', help='write the table as comma-separated values, too')
    parser.add_argument('--figure', type=Path, metavar='FILE', help='draw what was measured, with intervals')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not TABLES.is_dir():
        sys.exit(f'table.py: {TABLES} is not there; it comes with a clone of the repository, not with the wheel')
    sys.path.insert(0, str(TABLES))
    from tables.run import run_table
    try:
        run_table(args)
    except ValueError as error:
        sys.exit(f'table.py: {error}')


if __name__ == '__main__':
    main()
