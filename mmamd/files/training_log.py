"""What the host's logger has left of a training: losses over steps."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TRAINING = ('teacher', 'distil', 'distpro')  # kinds of stages that log a training
_NAME = re.compile(r'(?:(?P<network>\d+\.\d+)\.)?(?P<term>[\w.]*loss\w*)')  # '0.30.loss_feat', or 'loss'


@dataclass(frozen=True)
class Curve:
    """One quantity over the steps of a training.

    Attributes:
        steps: Ascending; a step is one update of the weights.
        values: One a step.
    """

    steps: list[int]
    values: list[float]


Losses = dict[str, dict[str, Curve]]  # term -> network ('0.30'; '' where the stage trains one unnamed network) -> curve


def read_losses(rows: Sequence[dict]) -> Losses:
    """Loss curves from logged rows, which hold ``'step'`` and values such as ``'0.30.loss_feat'``.

    Where networks have terms of their own, the sum of a network's terms is its ``'loss'``: what a step minimises for
    it. The mean over networks that the trainer logs under that name says little where networks are drawn by lot.
    """
    losses: Losses = {}
    for row in rows:
        for name, value in row.items():
            match = _NAME.fullmatch(name)
            if match:
                curve = losses.setdefault(match['term'], {}).setdefault(match['network'] or '', Curve([], []))
                curve.steps.append(row['step'])
                curve.values.append(value)
    networks = sorted({network for curves in losses.values() for network in curves} - {''}, key=float)
    if not networks:
        return losses
    terms = {term: {network: curves[network] for network in networks if network in curves}
             for term, curves in losses.items() if set(curves) != {''}}
    return {'loss': {network: _sum([curves[network] for curves in terms.values() if network in curves])
                     for network in networks}, **terms}


def _sum(curves: list[Curve]) -> Curve:
    at = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*map(set, at)))
    return Curve(steps, [sum(values[step] for values in at) for step in steps])


def read_log(folder: Path) -> list[dict]:
    """Rows of a stage's training log, ascending by ``'step'``.

    Every start of a stage logs to a folder of its own, named after its time. A stage that was interrupted goes on from
    its last whole epoch, so what was logged after that point is replaced by the later start's rows.
    """
    rows: list[dict] = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        try:
            started = [row for row in map(json.loads, _whole_lines(path)) if 'loss' in row]
        except ValueError as error:
            raise ValueError(f'{path} has a line that is no JSON ({error}); delete the file, and the curves are drawn '
                             'without it') from error
        if started:
            rows = [row for row in rows if row['step'] < started[0]['step']] + started
    return rows


def _whole_lines(path: Path) -> list[str]:
    # A run that is going on may be in the middle of its last line.
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith('}\n')]
