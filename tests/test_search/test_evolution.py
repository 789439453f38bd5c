from dataclasses import replace
from math import comb

import pytest
from toys import SMALL, SPACE, hidden, planted, told, trajectory

from mmamd.search.kd_zero.evolution import Evolution, Trial, best, propose, replay
from mmamd.search.kd_zero.shrinkage import Shrinkage, shrunk
from mmamd.search.kd_zero.space import OPERATIONS, Space


def least(trials):
    return best(trials, 1)[0].fitness


def test_a_planted_optimum_is_found_better_than_by_chance_at_equal_budget():
    settings = Evolution(evaluations=120)
    wins = losses = 0
    for seed in range(10):
        found, by_chance = (least(trajectory(planted(seed), replace(settings, method=method, seed=seed)))
                            for method in ('evolution', 'random'))
        wins += found < by_chance
        losses += found > by_chance
    # Sign test: as many wins by chance alone.
    decided = wins + losses
    assert sum(comb(decided, k) for k in range(wins, decided + 1)) / 2**decided < 0.05, (wins, losses)


def test_the_population_is_filled_and_then_stays_as_large_and_its_best_never_gets_worse():
    trials = trajectory(planted(), SMALL)
    assert [trial.role for trial in trials] == ['initial'] * 6 + ['child', 'newcomer'] * 9
    before = None
    for num in range(1, len(trials) + 1):
        population = replay(trials[:num], SPACE, SMALL).population
        assert len(population) == min(num, 6)
        if num >= 6:
            now = least(population)
            assert before is None or now <= before
            before = now


def test_of_a_child_and_a_newcomer_the_better_takes_the_place_of_the_worst():
    fitness = {0: 5., 1: 9., 2: 3., 3: 7., 4: 8., 5: 20.}  # the third pair is worse than all
    roles = ['initial', 'initial', 'child', 'newcomer', 'child', 'newcomer']
    trials = [Trial(i, role, hidden(i), str(i), fitness[i]) for i, role in enumerate(roles)]
    settings = replace(SMALL, population=2, parents=1.)
    assert [[each.position for each in replay(trials[:num], SPACE, settings).population]
            for num in range(1, 7)] == [[0], [0, 1], [0, 1], [0, 2], [0, 2], [2, 4]]


def test_a_rejected_trial_is_made_up_for_by_one_of_its_role_and_enters_no_population():
    trials = trajectory(planted(), SMALL, reason_against=lambda genome: 'sqrt' if genome.weight > 1 else None)
    rejected = [trial for trial in trials if trial.reason]
    assert 5 < len(rejected) and sum(trial.fitness is not None for trial in trials) == 24
    assert [trial.role for trial in trials if not trial.reason] == ['initial'] * 6 + ['child', 'newcomer'] * 9
    assert all(trial.fitness is not None for trial in replay(trials, SPACE, SMALL).population)


def test_trials_that_are_being_tried_count_for_the_next_role_and_not_for_the_population():
    trials = trajectory(planted(), replace(SMALL, evaluations=6))
    running = Trial(6, 'child', hidden(0), 'x')
    assert propose([*trials, running], 7, SPACE, SMALL)[0] == 'newcomer'
    assert replay([*trials, running], SPACE, SMALL).population == trials
    started = [Trial(i, 'initial', hidden(i), str(i)) for i in range(6)]
    assert propose(started, 6, SPACE, SMALL)[0] == 'newcomer', 'there are no parents yet'


def test_no_genome_is_tried_twice_as_long_as_there_are_others():
    space = Space(inputs=('logits',), transforms=(('no', 'relu', 'exp'), ('no', 'softmax_HW'), ('no',)),
                  distances=('l1', 'l2'), calibrations=('no',), weights=(1.,), taus=(1., 4.))
    # 24 genomes, of which those with softmax_HW compute what others do: logits have no positions.
    trials = trajectory(planted(), replace(SMALL, evaluations=12), space)
    assert len({trial.key for trial in trials}) == 12


def test_the_same_seed_tries_the_same_and_another_seed_other_distillers():
    first, again = (told(trajectory(planted(), SMALL)) for _ in range(2))
    assert first == again
    other = told(trajectory(planted(), replace(SMALL, seed=1)))
    assert not {key for _, _, key, *_ in first} & {key for _, _, key, *_ in other}


@pytest.mark.parametrize('options, message', [
    (dict(population=1), 'population must be an integer of at least 2, got 1'),
    (dict(evaluations=0), 'evaluations must be an integer of at least 1, got 0'),
    (dict(population=3, parents=0.3), 'parents=0.3 of a population of 3 leaves 1, expected at least 2 parents'),
    (dict(mutation=1.5), r'mutation must lie in \[0, 1\], got 1.5'),
    (dict(method='annealing'), "method must be 'evolution' or 'random', got 'annealing'")])
def test_what_is_no_evolution_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Evolution(**options)


# --- shrinkage ---

def test_probabilities_of_blamed_operations_fall_alone_sum_to_1_and_never_go_below_the_least():
    shrinkage = Shrinkage()
    genes = {**hidden(0), 'transform_1': 'sqrt', 'transform_2': 'pow4', 'distance': 'l2'}
    before = now = SPACE.start()
    for round_ in range(40):
        now = shrunk(now, [genes, genes], SPACE, shrinkage)
        for gene, choices in SPACE.choices.items():
            assert sum(now[gene]) == pytest.approx(1.)
            assert min(now[gene]) >= min(0.1 / len(choices), min(before[gene])) - 1e-12
            fallen = {choice for choice, p, old in zip(choices, now[gene], before[gene], strict=True) if p < old}
            assert fallen == ({genes[gene]} if gene in OPERATIONS else set())
        if not round_:
            index = SPACE.choices['distance'].index('l2')
            assert now['distance'][index] == pytest.approx(0.81 / (0.81 + 7))  # 0.9^2 of 8 equal ones
    assert now['transform_1'][SPACE.choices['transform_1'].index('sqrt')] == pytest.approx(0.1 / 38)


def test_what_a_user_never_draws_is_never_drawn():
    space = Space(distances=('l1', 'l2', 'KL'), probabilities={'distance': (0., 0.5, 0.5)})
    assert shrunk(space.start(), [{**hidden(0), 'distance': 'l2'}], space, Shrinkage())['distance'][0] == 0.


def test_rejected_and_worst_ones_are_blamed_every_interval_and_a_random_search_never_shrinks():
    def reject(genome):
        return 'loss not finite' if 'sqrt' in genome.transforms else None

    space = Space(transforms=('no', 'sqrt', 'exp', 'relu', 'tanh'))
    trials = trajectory(planted(), SMALL, space, reject)
    generation = replay(trials, space, SMALL)
    evaluated = [sum(trial.fitness is not None for trial in trials[:num]) for num, _ in generation.shrunk_at]
    assert evaluated == [8, 16, 24] and any(trial.reason for trial in trials)
    assert generation.probabilities['transform_1'][1] == min(generation.probabilities['transform_1'])
    assert replay(trials, space, replace(SMALL, method='random')).probabilities == space.start()


@pytest.mark.parametrize('options', [dict(factor=0.), dict(interval=0), dict(tail=1.), dict(least=1.5)])
def test_what_is_no_shrinkage_is_refused(options):
    (name, value), = options.items()
    with pytest.raises(ValueError, match=f'shrinkage must have .*got {name}={value}'):
        Shrinkage(**options)
