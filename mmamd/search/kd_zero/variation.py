"""New genes: drawn, crossed of two parents, or mutated of one (KD-Zero, section 3.2; the rates are its group's code's).

All randomness is that of the ``random.Random`` which is handed over.
"""

from random import Random

from mmamd.search.kd_zero.space import GENES, SLOTS, Genes, Probabilities, Space

EACH = 0.5  # probability that a gene is exchanged or drawn anew, within a crossover or a mutation
SINGLE = tuple(gene for gene in GENES if gene not in SLOTS)


def draw(space: Space, probabilities: Probabilities, rng: Random) -> Genes:
    """Genes by their probabilities."""
    return {gene: rng.choices(choices, probabilities[gene])[0] for gene, choices in space.choices.items()}


def cross(first: Genes, second: Genes, rng: Random) -> Genes:
    """The first's genes; each that is no transform, and one transform, is the second's with probability 1/2."""
    exchanged = [gene for gene in (*SINGLE, rng.choice(SLOTS)) if rng.random() < EACH]
    return {**first, **{gene: second[gene] for gene in exchanged}}


def mutate(genes: Genes, space: Space, probabilities: Probabilities, rng: Random) -> Genes:
    """Each gene that is no transform is drawn anew with probability 1/2, and so is one transform; others are kept.

    At least one gene changes, where the space has more than one genome.
    """
    slot = rng.choice(SLOTS)
    drawn = draw(space, probabilities, rng)
    mutated = {**genes, slot: drawn[slot], **{gene: drawn[gene] for gene in SINGLE if rng.random() < EACH}}
    if mutated != genes:
        return mutated
    open_genes = [gene for gene in (slot, *GENES) if _others(gene, genes, space, probabilities)]
    if not open_genes:
        return mutated
    others = _others(open_genes[0], genes, space, probabilities)
    return {**genes, open_genes[0]: rng.choices(list(others), list(others.values()))[0]}


def _others(gene: str, genes: Genes, space: Space, probabilities: Probabilities) -> dict[str | float, float]:
    """Choices of a gene that it is not and that may be drawn, with their probabilities."""
    pairs = zip(space.choices[gene], probabilities[gene], strict=True)
    return {choice: p for choice, p in pairs if choice != genes[gene] and p > 0}
