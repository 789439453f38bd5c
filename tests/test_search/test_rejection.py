import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.search.kd_zero.rejection import Bounds, gaussian_knowledge, reason_against
from mmamd.search.kd_zero.space import Space, genome_of
from mmamd.search.kd_zero.variation import draw

PAGE = Path(__file__).parents[2] / 'docs' / 'search.md'
KNOWLEDGE = gaussian_knowledge(num=8, channels=6, side=4, classes=10)


def genome(what, transforms, distance='l2', **options):
    return Genome(what, (*transforms.split(), *['no'] * 3)[:3], distance, **options)


@pytest.mark.parametrize('found, reason', [
    (Genome.parse(EXAMPLE), None), (genome('feature', 'mm norm_C'), None), (genome('feature', 'mask'), None),
    (genome('logits', 'sqrt'), 'loss not finite'), (genome('feature', 'pow4 exp exp'), 'loss not finite'),
    (genome('logits', 'pow4 pow4'), 'loss too large'), (genome('logits', '', weight=1000.), 'loss too large'),
    # Probabilities over one position are 1; the least element becomes 0, where the slope of the root is infinite.
    (genome('feature', 'multi-scale softmax_HW'), 'gradient zero'),
    (genome('logits', 'min-max sqrt'), 'gradient not finite')])
def test_reasons(found, reason):
    assert reason_against(found, KNOWLEDGE) == reason


def test_bounds_are_the_users():
    found = Genome.parse(EXAMPLE)
    assert reason_against(found, KNOWLEDGE, Bounds(most_gradient=1e-6)) == 'gradient too large'
    assert reason_against(found, KNOWLEDGE, Bounds(least_gradient=1e3)) == 'gradient zero'
    assert reason_against(found, KNOWLEDGE, Bounds(least_loss=1e9)) == 'loss negative'


def test_what_would_fill_the_memory_is_found_by_its_shapes():
    pairs = genome('feature', 'local_r1 bmm norm_C')  # of 4,096 patches
    assert reason_against(pairs, gaussian_knowledge()) == 'knowledge too large'
    assert reason_against(pairs, KNOWLEDGE) is None  # of 96
    assert reason_against(pairs, KNOWLEDGE, Bounds(most_elements=8 * 96**2 - 1)) == 'knowledge too large'
    assert reason_against(genome('feature', 'drop mask'), KNOWLEDGE, Bounds(most_elements=8 * 6 * 4**2)) is None


def test_a_constant_student_has_no_correlation_to_learn_by():
    # Its gradient is that of a direction at length 0: the less a student varies, the larger.
    constant = replace(KNOWLEDGE, student={name: torch.zeros_like(x) for name, x in KNOWLEDGE.student.items()})
    assert reason_against(Genome.parse(EXAMPLE), constant) == 'gradient too large'
    assert reason_against(genome('logits', 'norm_N softmax_N', 'l2'), constant) is None


def test_what_cannot_be_computed_has_its_reason_too():
    one = gaussian_knowledge(num=1, channels=6, side=4, classes=10)
    assert reason_against(genome('feature', 'mm'), one) == 'no batch'
    assert reason_against(genome('logits', 'mm exp'), one) is None, 'vectors have no product of samples'
    narrow = replace(KNOWLEDGE, student={**KNOWLEDGE.student, 'embedding': torch.zeros(8, 5)})
    assert reason_against(genome('embedding', 'exp'), narrow) == 'shapes differ'


def test_the_networks_are_left_without_gradient():
    student = KNOWLEDGE.student['logits']
    assert reason_against(Genome.parse(EXAMPLE), KNOWLEDGE) is None
    assert student.grad is None and not student.requires_grad


@pytest.mark.slow
def test_share_of_random_genomes_that_pass_is_what_the_documentation_says():
    space, random = Space(weights=(1.,), taus=(1.,)), Random(0)
    genomes = [genome_of(draw(space, space.start(), random)) for _ in range(3000)]
    knowledge = gaussian_knowledge(num=16, channels=16, side=4)
    passed = sum(reason_against(each, knowledge) is None for each in genomes)
    text = ' '.join(PAGE.read_text().split())
    said, = re.findall(r'Of 3,000 genomes drawn at random .*?, (\d+) % pass', text)
    assert 100 * passed / 3000 == pytest.approx(int(said), abs=1)
