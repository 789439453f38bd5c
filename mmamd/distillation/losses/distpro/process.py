"""A process of distillation: the weights of pathways over the progress of a training, as plain data.

Legend: P pathways, T recorded points.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mmamd.distillation.losses.distpro.normalisation import check_normalisation, normalised
from mmamd.distillation.losses.distpro.pathways import Pathway, check_pathways
from mmamd.files.json_file import read_json, write_json
from mmamd.files.whole import remedy


@dataclass(frozen=True)
class Process:
    """Weights of pathways at some steps of the training that they were found in. It belongs to levels, not to networks.

    Attributes:
        student_levels, teacher_levels: Names of the modules that the levels were, as many of both, from low to high.
        pathways: P of them, by the numbers of levels.
        steps: T steps, ascending; the last one is the end of the training.
        alphas: T x P, before they are normalised.
        weights: T x P, as they were used.
        normalisation, scale: What the weights were made of the alphas by, see :func:`normalised`.
        config_hash: Of the settings that it was found by; empty where there were none.

    Raises:
        ValueError: If these do not fit together, a number is not finite, or a weight is negative.
    """

    student_levels: tuple[str, ...]
    teacher_levels: tuple[str, ...]
    pathways: tuple[Pathway, ...]
    steps: tuple[int, ...]
    alphas: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    normalisation: str = 'biased_softmax'
    scale: float = 1.0
    config_hash: str = ''

    def __post_init__(self) -> None:
        if len(self.student_levels) != len(self.teacher_levels) or not self.student_levels:
            raise ValueError(f'a process is between as many levels of both networks, got {list(self.student_levels)} '
                             f'and {list(self.teacher_levels)}')
        check_pathways('pathways', self.pathways)
        outside = next((each for each in self.pathways if max(each[:2]) >= len(self.student_levels)), None)
        if outside is not None:
            raise ValueError(f'the pathway {outside.name} needs a level that is not there; there are '
                             f'{len(self.student_levels)}, numbered from 0')
        check_normalisation(self.normalisation, self.scale)
        _check_steps(self.steps)
        for name, table in (('alphas', self.alphas), ('weights', self.weights)):
            _check_table(name, table, len(self.steps), [each.name for each in self.pathways])
        if any(weight < 0 for row in self.weights for weight in row):
            raise ValueError('weights has a negative number; a weight of a pathway is at least 0')

    def at(self, progress: float, interpolate: str = 'weights') -> tuple[float, ...]:
        """The P weights at a share of a training, linear between the recorded points and exact at them.

        Args:
            progress: In [0, 1]; 1 is the last step. Before the first point and after the last they are constant.
            interpolate: ``'weights'``, which stay within those recorded; or ``'alphas'``, which are normalised then.
        """
        table = self.weights if interpolate == 'weights' else self.alphas
        shares = [step / self.steps[-1] for step in self.steps]
        after = bisect_right(shares, progress)
        if after in (0, len(shares)):
            row = table[max(0, after - 1)]
        else:
            along = (progress - shares[after - 1]) / (shares[after] - shares[after - 1])
            row = tuple(a + along * (b - a) for a, b in zip(table[after - 1], table[after], strict=True))
        if interpolate == 'weights':
            return row
        return tuple(normalised(torch.tensor(row, dtype=torch.float64), self.normalisation, self.scale).tolist())

    def columns(self, num_levels: int, level_map: Sequence[int] | None = None) -> dict[Pathway, int]:
        """The pathways between the levels of another pair of networks, and where their weights stand.

        Args:
            num_levels: Levels of each network of the pair.
            level_map: For each of them the level of the process that it stands for; None where there are as many.

        Raises:
            ValueError: Another number of levels without a map, or a map that is none.
        """
        known = len(self.student_levels)
        if level_map is None and num_levels != known:
            raise ValueError(f'the process is between {known} levels of each network, got a pair of {num_levels}; name '
                             'as many by layers, or say by level_map which of its levels they are, '
                             f'e.g. level_map={list(range(min(num_levels, known)))}')
        levels = list(range(known) if level_map is None else level_map)
        if (len(levels) != num_levels or not all(isinstance(each, int) and 0 <= each < known for each in levels)
                or any(a >= b for a, b in zip(levels, levels[1:], strict=False))):
            raise ValueError(f'level_map must be {num_levels} ascending numbers within 0..{known - 1}, a level of the '
                             f'process for each of layers, got {level_map!r}')
        places = {level: place for place, level in enumerate(levels)}
        found = {Pathway(places[each.teacher], places[each.student], each.transform): column
                 for column, each in enumerate(self.pathways) if {each.teacher, each.student} <= places.keys()}
        if not found:
            raise ValueError(f'level_map={level_map!r} leaves no pathway of the process, which has '
                             f'{", ".join(each.name for each in self.pathways)}')
        return found

    def kept_share(self, threshold: float, relative_to_max: bool = False) -> float:
        """Share of the T x P recorded weights that a threshold keeps; ``relative_to_max`` as of :func:`cut_of`."""
        cut = cut_of(self.weights, threshold, relative_to_max)
        kept = [weight >= cut for row in self.weights for weight in row]
        return sum(kept) / len(kept)

    def write(self, path: str | Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> 'Process':
        """What :meth:`write` has written. Raises ValueError, with the file, where it is no process."""
        if not Path(path).is_file():
            raise ValueError(f'there is no process {path}; name the file that a search has written')

        def build(raw: dict) -> 'Process':
            lists = {name: _tuples(value) for name, value in raw.items()}
            try:
                check_pathways('pathways', lists['pathways'])
                return cls(**{**lists, 'pathways': tuple(Pathway(*each) for each in lists['pathways'])})
            except ValueError as error:
                raise ValueError(f'{path}: {error}: {remedy(path)}') from error

        return read_json(path, build)


def cut_of(weights: Sequence[Sequence[float]], threshold: float, relative_to_max: bool) -> float:
    """The least weight that is kept: the threshold itself, or its share of the largest weight of all."""
    return threshold * (max(map(max, weights)) if relative_to_max else 1.)


def _check_steps(steps: Sequence[int]) -> None:
    is_whole = all(isinstance(step, int) and not isinstance(step, bool) and step >= 0 for step in steps)
    if not steps or not is_whole or any(a >= b for a, b in zip(steps, steps[1:], strict=False)) or not steps[-1]:
        raise ValueError(f'steps must be ascending whole numbers, at least one and the last one positive, got '
                         f'{list(steps)}')


def _check_table(name: str, table: Sequence[Sequence[float]], num_steps: int, pathways: Sequence[str]) -> None:
    if len(table) != num_steps or any(len(row) != len(pathways) for row in table):
        raise ValueError(f'{name} must have a number for each of {num_steps} steps and of the pathways '
                         f'{", ".join(pathways)}, got {len(table)} rows of '
                         f'{sorted({len(row) for row in table})} numbers')
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for row in table for value in row):
        raise ValueError(f'{name} has what is no finite number')


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
