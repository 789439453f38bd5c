"""How small, said on a command line: ``--to 15%``, ``--keep 98%``, ``--latency 2ms``, as keys of ``compression``."""

import argparse
import re
from typing import Any

GRID = tuple(i / 10 for i in range(1, 10))  # of the methods that a config inherits: num_candidates=9


def add_goal(parser: argparse.ArgumentParser) -> None:
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument('--to', nargs='+', type=share, metavar='SHARE',
                      help="MACs of the student, of the teacher's: 15%% or 0.15; several for a family of students")
    goal.add_argument('--keep', type=share, metavar='SHARE',
                      help="the smallest student that keeps this share of the teacher's accuracy, such as 98%%")
    goal.add_argument('--latency', type=latency, metavar='TIME',
                      help='the largest student that answers in this time on this device, such as 2ms')


def goal_of(args: argparse.Namespace, fixed: float) -> dict[str, Any]:
    """What ``compression`` says of the student; candidates by name where those of the grid cannot all be.

    Args:
        args: Of the command line.
        fixed: Share of the teacher's MACs that pruning never removes.
    """
    possible = [scale for scale in GRID if scale > fixed]
    named = dict(scales=possible) if len(possible) < len(GRID) else {}
    if args.keep is not None:
        return dict(student_scale='auto', keep=args.keep, **named)
    if args.latency is not None:
        return dict(student_scale='auto', latency=args.latency, **named)
    return dict(student_scale=args.to[0] if len(args.to) == 1 else sorted(set(args.to)))


def goal_name(args: argparse.Namespace) -> str:
    """The same as part of a file's name."""
    if args.keep is not None:
        return f'keep{100 * args.keep:g}'
    return args.latency if args.latency is not None else '-'.join(f'{100 * scale:g}' for scale in sorted(set(args.to)))


def goal_sentence(args: argparse.Namespace) -> str:
    """The same for people."""
    if args.keep is not None:
        return f'the smallest student that keeps {100 * args.keep:g} % of its accuracy'
    if args.latency is not None:
        return f'a student that answers in {args.latency}'
    return f'{", ".join(f"{100 * scale:g}" for scale in sorted(set(args.to)))} % of its MACs'


def share(text: str) -> float:
    """A fraction of ``15%`` or ``0.15``."""
    try:
        value = float(text.removesuffix('%'))
    except ValueError:
        value = -1.
    value = round(value / 100, 6) if text.endswith('%') else value
    if not 0 < value < 1:
        hint = f'; did you mean {text}%?' if 1 < value < 100 and not text.endswith('%') else ''
        raise argparse.ArgumentTypeError(f'expected a share between 0 and 1, such as 15% or 0.15, got {text!r}{hint}')
    return value


def latency(text: str) -> str:
    """A time such as ``2ms`` or ``0.5s``."""
    found = re.fullmatch(r'(\d+(?:\.\d+)?)\s*(us|ms|s)', text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f'expected a time with its unit, such as 2ms or 0.5s, got {text!r}')
    return f'{found[1]}{found[2]}'
