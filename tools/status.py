"""Say what a run is doing, from the files of its work_dir; the run is not disturbed."""

import argparse
import sys

from mmamd.pipeline.status import format_status


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the run')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        print(format_status(args.work_dir))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'status.py: {error}')


if __name__ == '__main__':
    main()
