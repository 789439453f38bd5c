"""What is tried next: a function of the seed and of all that has been tried.

Nothing is remembered beside the trials themselves, so a search that is resumed goes on as if it had not been
interrupted, and several workers share one population.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from mmamd.search.kd_zero.shrinkage import Shrinkage, shrunk
from mmamd.search.kd_zero.space import Genes, Probabilities, Space
from mmamd.search.kd_zero.variation import cross, draw, mutate
from mmamd.seeds import derive_seed

Role = Literal['initial', 'child', 'newcomer']
ATTEMPTS = 20  # to make a genome that has not been tried yet


@dataclass(frozen=True)
class Trial:
    """A distiller that has been tried, or is being tried.

    Attributes:
        position: Number of trials before it, those that failed left out.
        role: Why it was made: for the first population, of parents, or at random beside a child.
        genes: Its genes.
        key: Canonical text of its genome.
        fitness: The smaller the better; None if it was rejected, or is being tried.
        reason: Why it was rejected.
        known: Whether it computes what an earlier trial did, and was not tried again.
        parts: What the fitness is made of.
    """

    position: int
    role: Role
    genes: Genes
    key: str
    fitness: float | None = None
    reason: str | None = None
    known: bool = False
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evolution:
    """How the space is searched.

    Attributes:
        method: ``'evolution'``; or ``'random'``, which draws each distiller as the first ones are drawn, to compare.
        evaluations: Number of distillers that are evaluated: neither rejected nor known. The paper has 100 iterations
            of a child and a newcomer after the first 20.
        population: Number of distillers that are kept.
        parents: Share of the population, the best, from which two parents are drawn.
        crossover: Probability that a child has genes of both.
        mutation: Probability that it is mutated.
        shrinkage: How probabilities shrink.
        seed: From which everything is drawn.

    Raises:
        ValueError: A number is out of its range, or there are fewer than two parents.
    """

    method: Literal['evolution', 'random'] = 'evolution'
    evaluations: int = 220
    population: int = 20
    parents: float = 0.5
    crossover: float = 0.5
    mutation: float = 0.5
    shrinkage: Shrinkage = Shrinkage()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ('evolution', 'random'):
            raise ValueError(f"method must be 'evolution' or 'random', got {self.method!r}")
        for name, least in (('evaluations', 1), ('population', 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f'{name} must be an integer of at least {least}, got {value!r}')
        for name in ('parents', 'crossover', 'mutation'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {getattr(self, name)!r}')
        if self.num_parents < 2:
            raise ValueError(f'parents={self.parents} of a population of {self.population} leaves {self.num_parents}, '
                             'expected at least 2 parents; raise parents or population')

    @property
    def num_parents(self) -> int:
        return round(self.parents * self.population)


@dataclass
class Generation:
    """What a search has come to.

    Attributes:
        population: The distillers that are kept, at most ``Evolution.population``.
        probabilities: By which genes are drawn.
        shrunk_at: Of each shrinkage before, the number of trials that it followed, and the probabilities after it.
    """

    population: list[Trial]
    probabilities: Probabilities
    shrunk_at: list[tuple[int, Probabilities]]


def replay(trials: Sequence[Trial], space: Space, settings: Evolution) -> Generation:
    """Population and probabilities after some trials, in order of their positions.

    The first population is filled; then each pair of a child and a newcomer is judged as soon as both are there: the
    worst of the population is dropped and the better of the pair taken in (diversity-prompting selection).
    """
    generation = Generation([], space.start(), [])
    waiting: dict[str, list[Trial]] = {'child': [], 'newcomer': []}
    recent: list[Trial] = []
    for number, trial in enumerate(trials, 1):
        if trial.fitness is None and trial.reason is None:
            continue  # it is being tried
        recent.append(trial)
        if settings.method == 'evolution' and sum(map(is_evaluated, recent)) == settings.shrinkage.interval:
            generation.probabilities = shrunk(generation.probabilities, blamed(recent, settings.shrinkage), space,
                                              settings.shrinkage)
            generation.shrunk_at.append((number, generation.probabilities))
            recent = []
        if trial.fitness is None:
            continue
        if trial.role == 'initial':
            generation.population.append(trial)
        else:
            waiting[trial.role].append(trial)
        if len(generation.population) == settings.population and all(waiting.values()):
            pair = [each.pop(0) for each in waiting.values()]
            generation.population.remove(max(generation.population, key=rank))
            generation.population.append(min(pair, key=rank))
    return generation


def propose(trials: Sequence[Trial], position: int, space: Space, settings: Evolution) -> tuple[Role, Genes]:
    """Role and genes of the next trial, from those before it.

    Genes that compute what an earlier trial did are made anew, a child by further mutation, up to :data:`ATTEMPTS`
    times.
    """
    rng = Random(derive_seed(settings.seed, 'trial', position))
    generation = replay(trials, space, settings)
    role = _next_role(trials, len(generation.population), settings)
    known = {trial.key for trial in trials}

    def remade(genes: Genes) -> Genes:
        return (mutate(genes, space, generation.probabilities, rng) if role == 'child'
                else draw(space, generation.probabilities, rng))

    genes = _child(generation, space, settings, rng) if role == 'child' else remade({})
    for _ in range(ATTEMPTS):
        if space.key(genes) not in known:
            break
        genes = remade(genes)
    return role, genes


def _child(generation: Generation, space: Space, settings: Evolution, rng: Random) -> Genes:
    parents = sorted(generation.population, key=rank)[:settings.num_parents]
    first, second = (parent.genes for parent in rng.sample(parents, 2))
    genes = cross(first, second, rng) if rng.random() < settings.crossover else dict(first)
    return mutate(genes, space, generation.probabilities, rng) if rng.random() < settings.mutation else genes


def _next_role(trials: Sequence[Trial], present: int, settings: Evolution) -> Role:
    """A trial that was rejected is made up for by another of its role."""
    if settings.method == 'random':
        return 'newcomer'
    count = {role: sum(trial.role == role and trial.reason is None for trial in trials)
             for role in ('initial', 'child', 'newcomer')}
    if count['initial'] < settings.population:
        return 'initial'
    # While the first ones are still being tried by others there may be no two parents yet.
    return 'child' if count['child'] <= count['newcomer'] and present >= 2 else 'newcomer'


def is_evaluated(trial: Trial) -> bool:
    """Whether it took an evaluation."""
    return trial.fitness is not None and not trial.known


def blamed(trials: Sequence[Trial], shrinkage: Shrinkage) -> list[Genes]:
    """Genes of the rejected trials, and of the worst share of the evaluated ones."""
    judged = sorted((trial for trial in trials if is_evaluated(trial)), key=rank)
    tail = judged[len(judged) - int(shrinkage.tail * len(judged)):]
    return [trial.genes for trial in trials if trial.reason is not None] + [trial.genes for trial in tail]


def rank(trial: Trial) -> tuple[float, int]:
    """The best first; of equal ones the earlier."""
    return trial.fitness, trial.position


def best(trials: Sequence[Trial], num: int) -> list[Trial]:
    """The best distillers, each once, the best first."""
    return sorted(filter(is_evaluated, trials), key=rank)[:num]
