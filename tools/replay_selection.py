"""Choose the teacher assistant anew from the table of a run, by another rule; nothing is trained or evaluated."""

import argparse
import sys

from mmamd.pipeline.replay import format_replay, replay_stage, write_replay
from mmamd.selection.choice import NAMED_SCALES


def scale(text: str) -> float | str:
    return text if text in NAMED_SCALES else float(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument('--rule', required=True,
                        help='rule to choose by: npsd, npsd_cost, npsd_local, lambda_tradeoff, best or manual')
    parser.add_argument('--round', type=int, default=1, metavar='N', help='which selection of several (default: 1)')
    parser.add_argument('--lam', type=float, help='lambda_tradeoff: what one unit of removed scale is worth '
                                                  "(default: the stored selection's)")
    parser.add_argument('--scale', type=scale, help="manual: scale of a candidate, 'smallest' or 'largest'")
    parser.add_argument('--write', action='store_true', help="make the choice the run's, and say how to redo the rest")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        found = replay_stage(args.work_dir, args.rule, args.round, args.lam, args.scale)
        is_written = args.write and not found.is_same
        if is_written:
            write_replay(found)
        print(format_replay(found, is_written))
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        sys.exit(f'replay_selection.py: {error}')


if __name__ == '__main__':
    main()
