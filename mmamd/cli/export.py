"""``mmamd export RUN``: any network of a run in any form, each compared with the sliced network."""

import argparse
import functools
import sys

from mmamd.api import export_model
from mmamd.export import FORMS, LAYOUTS, format_exported
from mmamd.pipeline.console import say
from mmamd.pipeline.finished_run import NAMED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument('--form', nargs='+', choices=list(FORMS), default=['pth'], metavar='FORM',
                        help=f'forms to write: {", ".join(FORMS)} (default: pth)')
    parser.add_argument('--scale', type=_scale, default='student',
                        help="'student', 'assistant', 'teacher', or the scale of a candidate, such as 0.5 (default: "
                             'student)')
    parser.add_argument('--out', help='folder of the files (default: RUN/exported/SCALE)')
    parser.add_argument('--with-preprocessing', choices=LAYOUTS,
                        help='graphs of ONNX take uint8 pixels in this layout and normalise them themselves')
    parser.add_argument('--force', action='store_true', help='replace files that are there')


def run(args: argparse.Namespace) -> None:
    written = export_model(args.work_dir, args.form, args.scale, args.out, force=args.force,
                           with_preprocessing=args.with_preprocessing,
                           say=functools.partial(print, file=sys.stderr, flush=True))
    say(format_exported(written))
    if any(form.refused for form in written):
        sys.exit(1)


def _scale(text: str) -> float | str:
    return text if text in NAMED else float(text)
