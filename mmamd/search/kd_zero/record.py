"""What a search has tried, as plain data that is read by people, by its pictures and by the summary of the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from mmamd.files.json_file import read_json, write_json
from mmamd.search.kd_zero.evolution import Evolution, Trial, replay
from mmamd.search.kd_zero.rejection import Reason
from mmamd.search.kd_zero.space import OPERATIONS, Space

TRIALS = 'trials.json'
GENERATIONS = 'generations.json'


def write_record(folder: Path, found: Mapping[str, Sequence[Trial]], space: Space, settings: Evolution) -> None:
    """Write ``trials.json``, every trial of each search by its method, and ``generations.json`` of the first of them.

    Generations are what lies between two shrinkages: ``trials``, how many trials there were when each began, and
    ``probabilities``, gene -> operation -> how likely it was in each.
    """
    write_json(folder / TRIALS, {method: list(_told(trials)) for method, trials in found.items()})
    shrunk_at = replay(next(iter(found.values())), space, settings).shrunk_at
    generations = [space.start(), *(probabilities for _, probabilities in shrunk_at)]
    write_json(folder / GENERATIONS, {
        'population': settings.population, 'interval': settings.shrinkage.interval,
        'trials': [0, *(number for number, _ in shrunk_at)],
        'probabilities': {gene: {choice: [each[gene][column] for each in generations]
                                 for column, choice in enumerate(space.choices[gene])} for gene in OPERATIONS}})


def count_trained(folder: Path) -> int:
    """Number of students that were trained to judge distillers, those that were given up among them."""
    trials = read_json(folder / TRIALS, lambda raw: [trial for each in raw.values() for trial in each])
    return sum(not trial['known'] and (trial['fitness'] is not None
                                       or trial['reason'] not in (None, *get_args(Reason))) for trial in trials)


def _told(trials: Sequence[Trial]) -> Iterator[dict]:
    for trial in trials:
        own = {key: value for key, value in asdict(trial).items() if key not in ('genes', 'key')}
        yield {'genome': trial.key, **own}
