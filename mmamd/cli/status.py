"""``mmamd status RUN``: what a run is doing, from its files; neither torch nor the host is loaded."""

import argparse
import sys
import time

from mmamd.pipeline.console import say
from mmamd.pipeline.status import format_status, read_status

CLEAR = '\x1b[2J\x1b[H'  # a terminal, from its first line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument('--watch', nargs='?', type=_seconds, const=5., metavar='SECONDS',
                        help='look again every so many seconds (5 by default) until the run has ended')


def run(args: argparse.Namespace) -> None:
    while True:
        text = format_status(args.work_dir)
        if args.watch is not None and sys.stdout.isatty():
            print(CLEAR, end='')
        say(text)
        if args.watch is None or read_status(args.work_dir).state != 'running':
            return
        time.sleep(args.watch)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f'expected a number of seconds above 0, got {text}')
    return seconds
