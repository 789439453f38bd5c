"""``mmamd bench RUN``: teacher, assistant and student of a run are timed, by torch and ONNX Runtime."""

import argparse

from mmamd.api import bench
from mmamd.pipeline.bench import format_bench
from mmamd.pipeline.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dir', help='folder of the finished run')
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=[1, 64], help='images a call (default: 1 64)')
    parser.add_argument('--threads', type=int, help='that compute one call (default: as many as torch takes)')
    parser.add_argument('--device', default='cpu', help='name of a device of torch (default: cpu)')


def run(args: argparse.Namespace) -> None:
    say(format_bench(bench(args.work_dir, args.batch_sizes, args.threads, args.device)))
