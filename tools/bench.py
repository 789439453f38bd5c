"""Time teacher, assistant and student of a run, by torch and ONNX Runtime; kept in its report."""

import argparse
import sys

import mmamd
from mmamd.pipeline.bench import format_bench


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the finished run')
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=[1, 64], help='images a call (default: 1 64)')
    parser.add_argument('--threads', type=int, help='that compute one call (default: as many as torch takes)')
    parser.add_argument('--device', default='cpu', help='name of a device of torch (default: cpu)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        print(format_bench(mmamd.bench(args.work_dir, args.batch_sizes, args.threads, args.device)))
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        sys.exit(f'bench.py: {error}')


if __name__ == '__main__':
    main()
