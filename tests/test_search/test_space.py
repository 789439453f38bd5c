import math
from random import Random

import pytest
from toys import SPACE, genes_of

from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.search.kd_zero.space import GENES, Space, genome_of
from mmamd.search.kd_zero.variation import cross, draw, mutate


def test_the_space_of_the_paper():
    assert SPACE.size == 3 * 38**3 * 8 * 5 * 5 * 3
    assert {gene: sum(p) for gene, p in SPACE.start().items()} == pytest.approx(dict.fromkeys(GENES, 1.))


def test_a_narrowed_space():
    space = Space(inputs=('logits',), transforms=(('no', 'relu'), ('no',), ('no', 'exp', 'mm')), taus=(4.,),
                  probabilities={'transform_1': (0., 1.)})
    assert space.size == 2 * 3 * 8 * 5 * 5
    drawn = [draw(space, space.start(), Random(seed)) for seed in range(50)]
    assert {genes['transform_1'] for genes in drawn} == {'relu'} and {genes['tau'] for genes in drawn} == {4.}
    assert {genes['transform_3'] for genes in drawn} == {'no', 'exp', 'mm'}


def test_genes_are_a_genome():
    genome = Genome.parse(EXAMPLE)
    assert genome_of(genes_of(genome)) == genome
    assert SPACE.key(genes_of(genome)) == str(genome.canonical())


@pytest.mark.parametrize('options, message', [
    (dict(inputs=('k3',)), "no input 'k3'"),
    (dict(transforms=('no', 'softmax')), "no transform 'softmax'.*Did you mean"),
    (dict(distances=('cosine',)), "no distance 'cosine'.*Did you mean Cosine"),
    (dict(calibrations=('x',)), "no calibration 'x'"),
    (dict(transforms=(('no',), ('no',))), 'transforms must be names, or 3 lists of names, one a place; got 2'),
    (dict(taus=(0.,)), 'tau must be a positive finite number, got 0.0'), (dict(weights=(1., -1.)), 'weight must be'),
    (dict(inputs=()), r'the choices of input must be different and at least one, got \[\]'),
    (dict(distances=('l1', 'l1')), 'the choices of distance must be different'),
    (dict(taus=(1., 4.), probabilities={'tau': (0.5, 0.4)}), 'tau must be 2 numbers .*got .*, which sum to 0.9'),
    (dict(taus=(1., 4.), probabilities={'tau': (1.5, -0.5)}), 'of at least 0 that sum to 1'),
    (dict(taus=(1., 4.), probabilities={'tau': (math.nan, 1.)}), 'of at least 0 that sum to 1'),
    (dict(probabilities={'tau': (1.,)}), 'the probabilities of tau must be 3 numbers'),
    (dict(probabilities={'slot': (1.,)}), "no gene 'slot'")])
def test_what_is_no_space_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Space(**options)


def test_a_crossed_child_has_genes_of_its_parents_alone_and_at_most_one_transform_of_the_second():
    slots = GENES[1:4]
    for seed in range(50):
        rng = Random(seed)
        first, second = (draw(SPACE, SPACE.start(), rng) for _ in range(2))
        child = cross(first, second, rng)
        assert all(child[gene] in (first[gene], second[gene]) for gene in GENES)
        assert sum(child[slot] != first[slot] for slot in slots) <= 1


def test_a_mutation_changes_at_least_one_gene_and_at_most_one_transform():
    for space in (SPACE, Space(inputs=('logits',), transforms=('no',), distances=('l2',), calibrations=('no',),
                               weights=(1.,), taus=(1., 4.))):
        for seed in range(50):
            rng = Random(seed)
            genes = draw(space, space.start(), rng)
            mutated = mutate(genes, space, space.start(), rng)
            assert mutated != genes and sum(mutated[slot] != genes[slot] for slot in GENES[1:4]) <= 1


def test_what_is_never_drawn_is_no_mutation_either():
    space = Space(inputs=('logits',), transforms=('no',), distances=('l2',), calibrations=('no',), weights=(1.,),
                  taus=(1., 4.), probabilities={'tau': (1., 0.)})
    genes = draw(space, space.start(), Random(0))
    assert mutate(genes, space, space.start(), Random(0)) == genes
