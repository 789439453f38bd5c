"""Draw the pictures and the report of a run anew from its work_dir, also while the run is going on."""

import argparse
import sys
from pathlib import Path

from mmamd.visualization import LIGHT, PICTURES, make_pictures, read_run, save_figure, write_report


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument('--out', type=Path, help='where pictures/ and report.html go (default: the work_dir)')
    parser.add_argument('--only', nargs='+', metavar='NAME', choices=[*PICTURES, 'report'],
                        help=f'draw these alone, of: {", ".join([*PICTURES, "report"])}')
    parser.add_argument('--retrained', nargs='+', metavar='RUN', default=[],
                        help='finished runs whose students were trained by distillers that this one has searched')
    parser.add_argument('--beside', nargs='+', metavar='RUN', default=[],
                        help='runs whose distances of ScaleKD are drawn beside those of this one')
    parser.add_argument('--format', choices=['png', 'svg', 'pdf'], default='png', help='of the pictures')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        run = read_run(args.work_dir, args.retrained, args.beside)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'visualise.py: {error}')
    out, only = args.out or Path(args.work_dir), args.only or [*PICTURES, 'report']
    pictures, missing = make_pictures(run)
    for picture in pictures:
        if picture.kind in only:
            path = out / 'pictures' / f'{picture.name}.{args.format}'
            save_figure(picture.draw(style=LIGHT), path)
            print(f'picture: {path}')
    for name, reason in missing.items():
        if name in only:
            print(f'not drawn: {name}: {reason}')
    if 'report' in only:
        write_report(run, out / 'report.html')
        print(f'report: {out / "report.html"}')


if __name__ == '__main__':
    main()
