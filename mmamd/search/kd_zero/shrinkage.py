"""Operations of rejected distillers and of the worst ones are drawn less often (KD-Zero, section 3.2).

The paper says no more than that; rates and schedule are ours.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mmamd.search.kd_zero.space import OPERATIONS, Genes, Probabilities, Space


@dataclass(frozen=True)
class Shrinkage:
    """How probabilities shrink.

    Attributes:
        factor: By which a probability is multiplied for each distiller that the operation is blamed for, in (0, 1]; 1
            for no shrinkage.
        interval: Number of evaluations after which they do.
        tail: Share of the evaluations since the last time that are blamed, the worst, in [0, 1).
        least: Smallest probability, over that of an equal one, in [0, 1].
    """

    factor: float = 0.9
    interval: int = 20
    tail: float = 0.25
    least: float = 0.1

    def __post_init__(self) -> None:
        bounds = {'factor': 0 < self.factor <= 1, 'tail': 0 <= self.tail < 1, 'least': 0 <= self.least <= 1,
                  'interval': isinstance(self.interval, int) and self.interval >= 1}
        wrong = [name for name, holds in bounds.items() if not holds]
        if wrong:
            raise ValueError('shrinkage must have factor in (0, 1], tail in [0, 1), least in [0, 1] and an interval of '
                             f'at least 1; got {wrong[0]}={getattr(self, wrong[0])!r}')


def shrunk(probabilities: Probabilities, blamed: Iterable[Genes], space: Space, shrinkage: Shrinkage) -> Probabilities:
    """``p <- max(p_min, p factor^count)`` of each operation, count being how often it is blamed; then the sum is 1.

    ``p_min`` is ``least`` over the number of choices; a probability that was less from the beginning stays where it is.
    """
    blamed = list(blamed)
    found = dict(probabilities)
    for gene in OPERATIONS:
        counts = Counter(genes[gene] for genes in blamed)
        choices = space.choices[gene]
        floor = shrinkage.least / len(choices)
        lowered = [max(min(p, floor), p * shrinkage.factor**counts[choice])
                   for choice, p in zip(choices, probabilities[gene], strict=True)]
        total = sum(lowered)  # at most 1, so that dividing by it takes none below the floor
        found[gene] = tuple(p / total for p in lowered)
    return found
