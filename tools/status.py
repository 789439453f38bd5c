"""Say what a run is doing, from the files of its work_dir; the run is not disturbed."""

import argparse
import sys

from mmamd.cli.status import add_arguments, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        run(args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'status.py: {error}')


if __name__ == '__main__':
    main()
