"""What searches have left in the work_dir of a run, read for drawing: distillers that were tried, and processes."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mmamd.files.json_file import read_json
from mmamd.files.run_config import read_run_config


@dataclass(frozen=True)
class Tried:
    """A distiller that a search has tried.

    Attributes:
        genome: Its text.
        fitness: The smaller the better; None if it was rejected, or is being tried.
        reason: Why it was rejected.
        known: Whether an earlier one computes the same, so that it was not evaluated again.
    """

    genome: str
    fitness: float | None
    reason: str | None = None
    known: bool = False

    @property
    def is_evaluated(self) -> bool:
        return self.fitness is not None and not self.known

    @property
    def fields(self) -> dict[str, list[str]]:
        """Field of the genome -> what stands in it: ``'trans'`` -> ``['mm', 'no', 'no']``."""
        return {name: values.split('|') for name, values in re.findall(r'(\w+):\[([^\]]*)\]', self.genome)}


@dataclass(frozen=True)
class Searched:
    """A search of distillers, as far as it is.

    Attributes:
        trials: Method, ``'evolution'`` or ``'random'`` -> what it has tried, in order; the first finds the distiller.
        population: How many distillers are kept.
        began_at: Of each generation, what lies between two shrinkages, the number of trials before it.
        probabilities: Gene -> operation -> how likely it was in each generation.
    """

    trials: dict[str, list[Tried]]
    population: int
    began_at: list[int]
    probabilities: dict[str, dict[str, list[float]]]

    @property
    def evaluated(self) -> dict[str, list[Tried]]:
        """Method -> what was evaluated, in order; methods that have evaluated none are left out."""
        found = {method: [trial for trial in trials if trial.is_evaluated] for method, trials in self.trials.items()}
        return {method: trials for method, trials in found.items() if trials}

    def best(self, num: int) -> list[Tried]:
        """The best distillers that its first method has evaluated, the best first."""
        return _best_of(self.trials[next(iter(self.trials))])[:num]

    @property
    def warnings(self) -> list[str]:
        """What is to be said where another method than the first has done better."""
        if not self.best(1):
            return []
        own, (first, trials) = self.best(1)[0].fitness, next(iter(self.evaluated.items()))
        rivals = {method: _best_of(others)[0] for method, others in self.evaluated.items()}
        return [f'{len(self.evaluated[method])} distillers by {by(method)} have a better one than {len(trials)} by '
                f'{by(first)}, of fitness {rival.fitness:.4g} instead of {own:.4g}: {rival.genome}'
                for method, rival in rivals.items() if rival.fitness < own]


@dataclass(frozen=True)
class Retrained:
    """A distiller by which students were trained to their end.

    Attributes:
        fitness: That the search has read of its proxy.
        values: Performance of each student on the test images, as a fraction.
    """

    fitness: float
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Pathways:
    """A process that was searched: weights of pathways over a training.

    Attributes:
        names: Of the P pathways, such as ``'t0-s1'``.
        progress: Of the T recorded points, in [0, 1], ascending.
        weights: T x P.
        macs: Of the transforms of each pathway, of one image; None where they were not counted.
    """

    names: list[str]
    progress: list[float]
    weights: list[list[float]]
    macs: list[int] | None = None


def by(method: str) -> str:
    """How people call a method, behind 'by'."""
    return 'chance' if method == 'random' else method


def _best_of(trials: list[Tried]) -> list[Tried]:
    return sorted((trial for trial in trials if trial.is_evaluated), key=lambda trial: trial.fitness)


def read_searched(folder: Path) -> Searched | None:
    """What a search of distillers has left in its folder; None if there is nothing yet."""
    if not (folder / 'generations.json').is_file():
        return None
    trials = read_json(folder / 'trials.json', lambda raw: {
        method: [Tried(each['genome'], None if each['fitness'] is None else float(each['fitness']), each['reason'],
                       each['known']) for each in tried]
        for method, tried in raw.items()})
    return read_json(folder / 'generations.json', lambda raw: Searched(
        trials, raw['population'], raw['trials'], raw['probabilities']))


def read_pathways(folder: Path) -> Pathways | None:
    """The process that a search has left in its folder; None if there is none yet."""
    if not (folder / 'process.json').is_file():
        return None
    macs = read_json(folder / 'pathways.json')['macs'] if (folder / 'pathways.json').is_file() else None

    def build(raw: dict) -> Pathways:
        names = [f't{teacher}-s{student}' + ('' if transform == 'auto' else f'/{transform}')
                 for teacher, student, transform in raw['pathways']]
        return Pathways(names, [step / raw['steps'][-1] for step in raw['steps']], raw['weights'],
                        None if macs is None else [macs[name] for name in names])

    return read_json(folder / 'process.json', build)


def read_retrained(searched: Searched, runs: list[Path]) -> dict[str, Retrained]:
    """Genome -> what students that finished runs have trained by it do on test images.

    Raises:
        FileNotFoundError: A run is not finished.
        ValueError: A run has trained by no distiller that the search has evaluated.
    """
    fitness = {trial.genome: trial.fitness for trials in searched.evaluated.values() for trial in trials}
    found: dict[str, Retrained] = {}
    for run in runs:
        if not (run / 'summary.json').is_file():
            raise FileNotFoundError(f'{run} holds no summary.json: a run whose student is compared must be finished')
        genome = next((each for each in _genomes(run) if each in fitness), None)
        if genome is None:
            raise ValueError(f'{run} has trained by none of the distillers that the search has evaluated, but by '
                             f'{_genomes(run) or "no GenomeLoss"}; name runs whose genome stands in trials.json')
        value = read_json(run / 'summary.json', lambda raw: raw['student']['value'])
        found.setdefault(genome, Retrained(fitness[genome])).values.append(value)
    return found


def _genomes(run: Path) -> list[str]:
    """Genomes of the terms that the student of a run was trained with: those that it has found, or its config's."""
    found = [term for path in sorted(run.glob('*/losses.json')) for term in read_json(path).values()]
    config = read_run_config(run)
    sections = (config.model.get('losses') or {}, (config.get('student') or {}).get('losses') or {})
    found += [term for losses in sections for term in losses.values()]
    return [term['genome'] for term in found if 'genome' in term]
