"""A search without networks: the fitness is the distance to a hidden genome."""

from random import Random

from mmamd.search.kd_zero.evolution import Evolution, Trial, propose
from mmamd.search.kd_zero.shrinkage import Shrinkage
from mmamd.search.kd_zero.space import GENES, Space, genome_of
from mmamd.search.kd_zero.variation import draw

SPACE = Space()
SMALL = Evolution(evaluations=24, population=6, shrinkage=Shrinkage(interval=8))


def hidden(seed, space=SPACE):
    return draw(space, space.start(), Random(seed))


def genes_of(genome):
    return dict(zip(GENES, (genome.input, *genome.transforms, genome.distance, genome.calibration, genome.weight,
                            genome.tau), strict=True))


def planted(seed=0):
    """Number of genes in which a genome differs from a hidden one, as a function to search by."""
    target = genes_of(genome_of(hidden(seed)).canonical())

    def evaluate(genome):
        genes = genes_of(genome.canonical())
        return {'fitness': sum(genes[gene] != target[gene] for gene in GENES)}

    return evaluate


def trajectory(evaluate, settings, space=SPACE, reason_against=lambda genome: None):
    """All trials of a search, without a store."""
    trials = []
    while sum(trial.fitness is not None for trial in trials) < settings.evaluations:
        role, genes = propose(trials, len(trials), space, settings)
        reason = reason_against(genome_of(genes))
        fitness = None if reason else evaluate(genome_of(genes))['fitness']
        trials.append(Trial(len(trials), role, genes, space.key(genes), fitness, reason))
    return trials


def told(trials):
    """What a trial is known by."""
    return [(trial.position, trial.role, trial.key, trial.fitness, trial.reason) for trial in trials]
