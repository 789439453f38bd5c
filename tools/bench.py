"""Time teacher, assistant and student of a run, by torch and ONNX Runtime; kept in its report."""

import argparse
import sys

from mmamd.cli.bench import add_arguments, run
from mmamd.cli.main import EXPECTED


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        run(args)
    except EXPECTED as error:
        sys.exit(f'bench.py: {error}')


if __name__ == '__main__':
    main()
