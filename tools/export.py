"""Write any candidate of a run in any form, without training; every form is compared with the sliced network."""

import argparse
import functools
import sys

import mmamd
from mmamd.export import FORMS, LAYOUTS, format_exported
from mmamd.pipeline.finished_run import NAMED


def scale(text: str) -> float | str:
    return text if text in NAMED else float(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument('--form', nargs='+', choices=list(FORMS), default=['pth'], help='forms to write (default: pth)')
    parser.add_argument('--scale', type=scale, default='student',
                        help="'student', 'assistant', 'teacher', or the scale of a candidate, such as 0.5 (default: "
                             'student)')
    parser.add_argument('--out', help='folder of the files (default: WORK_DIR/exported/SCALE)')
    parser.add_argument('--with-preprocessing', choices=LAYOUTS,
                        help='graphs of ONNX take uint8 pixels in this layout and normalise them themselves')
    parser.add_argument('--force', action='store_true', help='replace files that are there')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        written = mmamd.export_model(
            args.work_dir, args.form, args.scale, args.out, force=args.force,
            with_preprocessing=args.with_preprocessing, say=functools.partial(print, file=sys.stderr, flush=True))
    except (ValueError, FileNotFoundError, FileExistsError, ImportError, RuntimeError) as error:
        sys.exit(f'export.py: {error}')
    print(format_exported(written))
    if any(form.refused for form in written):
        sys.exit(1)


if __name__ == '__main__':
    main()
