"""The space of distillers: eight genes, what each may be, and how likely it is drawn."""

import math
from dataclasses import dataclass, field

from mmamd.distillation.genome import INPUTS, NUM_TRANSFORMS, Genome, check_name, check_positive
from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS

Genes = dict[str, str | float]
Probabilities = dict[str, tuple[float, ...]]  # of each gene, those of its choices

SLOTS = tuple(f'transform_{i + 1}' for i in range(NUM_TRANSFORMS))
GENES = ('input', *SLOTS, 'distance', 'calibration', 'weight', 'tau')
OPERATIONS = (*SLOTS, 'distance', 'calibration')  # those that :mod:`mmamd.search.kd_zero.shrinkage` makes less likely
CLOSE = 1e-6  # to which probabilities sum to 1


@dataclass(frozen=True)
class Space:
    """Which distillers there are; by default all that are registered: with those of KD-Zero's Table 1, 98.8 million.

    Attributes:
        inputs: What may be compared: some of ``'feature'``, ``'embedding'``, ``'logits'``.
        transforms: Names of transforms, for all three places; or three lists, one a place.
        distances, calibrations: Names.
        weights, taus: Numbers > 0.
        probabilities: Of genes by name (``'input'``, ``'transform_1'`` to ``'transform_3'``, ``'distance'``,
            ``'calibration'``, ``'weight'``, ``'tau'``), the probabilities of their choices in the first generation; of
            others, all choices are equally likely.
        dense: Whether logits are maps, as a segmentor's.

    Raises:
        ValueError: A name is unknown, a list empty or with duplicates, a number not positive, or probabilities none.
    """

    inputs: tuple[str, ...] = INPUTS
    transforms: tuple[str, ...] | tuple[tuple[str, ...], ...] = field(
        default_factory=lambda: tuple(KD_TRANSFORMS.module_dict))
    distances: tuple[str, ...] = field(default_factory=lambda: tuple(KD_DISTANCES.module_dict))
    calibrations: tuple[str, ...] = field(default_factory=lambda: tuple(KD_CALIBRATIONS.module_dict))
    weights: tuple[float, ...] = (0.01, 0.1, 1., 10., 100.)
    taus: tuple[float, ...] = (1., 4., 8.)
    probabilities: Probabilities = field(default_factory=dict)
    dense: bool = False

    def __post_init__(self) -> None:
        for gene, choices in self.choices.items():
            if not choices or len(set(choices)) < len(choices):
                raise ValueError(f'the choices of {gene} must be different and at least one, got {list(choices)}')
            for choice in choices:
                _check_choice(gene, choice)
        for gene, probabilities in self.probabilities.items():
            check_name('gene', gene, GENES)
            _check_probabilities(gene, probabilities, self.choices[gene])

    @property
    def choices(self) -> dict[str, tuple]:
        """Of each gene, what it may be."""
        is_one_list = all(isinstance(name, str) for name in self.transforms)
        slots = [self.transforms] * NUM_TRANSFORMS if is_one_list else self.transforms
        if len(slots) != NUM_TRANSFORMS:
            raise ValueError(f'transforms must be names, or {NUM_TRANSFORMS} lists of names, one a place; got '
                             f'{len(slots)} lists')
        return dict(zip(GENES, map(tuple, (self.inputs, *slots, self.distances, self.calibrations, self.weights,
                                           self.taus)), strict=True))

    @property
    def size(self) -> int:
        """Number of genomes, those that compute the same counted apart."""
        return math.prod(map(len, self.choices.values()))

    def start(self) -> Probabilities:
        """The probabilities of the first generation."""
        return {gene: tuple(self.probabilities.get(gene, [1 / len(choices)] * len(choices)))
                for gene, choices in self.choices.items()}

    def key(self, genes: Genes) -> str:
        """Canonical text of genes: the same for all that compute the same."""
        return str(genome_of(genes).canonical(self.dense))


def genome_of(genes: Genes) -> Genome:
    """The genome that genes, by name, make."""
    return Genome(genes['input'], tuple(genes[slot] for slot in SLOTS), genes['distance'], genes['calibration'],
                  genes['weight'], genes['tau'])


def _check_choice(gene: str, choice: str | float) -> None:
    if gene in ('weight', 'tau'):
        check_positive(gene, choice)
        return
    what = gene.split('_')[0]
    known = {'input': INPUTS, 'transform': KD_TRANSFORMS.module_dict, 'distance': KD_DISTANCES.module_dict,
             'calibration': KD_CALIBRATIONS.module_dict}[what]
    check_name(what, choice, known)


def _check_probabilities(gene: str, probabilities: tuple[float, ...], choices: tuple) -> None:
    if (len(probabilities) != len(choices) or any(not p >= 0 for p in probabilities)
            or abs(sum(probabilities) - 1) > CLOSE):
        raise ValueError(f'the probabilities of {gene} must be {len(choices)} numbers of at least 0 that sum to 1, one '
                         f'for each of {list(choices)}; got {list(probabilities)}, which sum to {sum(probabilities):g}')
