"""Write any candidate of a run in any form, without training; every form is compared with the sliced network."""

import argparse
import sys

from mmamd.cli.export import add_arguments, run
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
        sys.exit(f'export.py: {error}')


if __name__ == '__main__':
    main()
