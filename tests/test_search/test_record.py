"""What a search leaves for people, its pictures and the summary."""

import json
from dataclasses import replace

import pytest
from toys import SMALL, SPACE, planted, trajectory

from mmamd.search.kd_zero.evolution import Trial
from mmamd.search.kd_zero.record import count_trained, write_record


def test_generations_are_those_of_the_evolution(tmp_path):
    def fussy(genome):
        return 'loss too large' if genome.weight > 10 else None

    found = {method: trajectory(planted(), replace(SMALL, method=method), reason_against=fussy)
             for method in ('evolution', 'random')}
    write_record(tmp_path, found, SPACE, SMALL)
    told = json.loads((tmp_path / 'trials.json').read_text())
    assert {method: [each['genome'] for each in trials] for method, trials in told.items()} == {
        method: [trial.key for trial in trials] for method, trials in found.items()}
    generations = json.loads((tmp_path / 'generations.json').read_text())
    assert (generations['population'], len(generations['trials'])) == (6, 4), '24 evaluations, 8 a generation'
    assert generations['trials'][0] == 0 and generations['trials'] == sorted(generations['trials'])
    probabilities = generations['probabilities']['distance']
    assert list(probabilities) == list(SPACE.choices['distance'])
    assert all(sum(each) == pytest.approx(1) for each in zip(*probabilities.values(), strict=True))
    assert len({tuple(each) for each in probabilities.values()}) > 1


def test_a_student_counts_that_was_trained_though_it_was_given_up(tmp_path):
    outcomes = [(2., None, False), (None, 'loss not finite', False), (None, 'no better than chance', False),
                (None, 'training diverged', True), (2., None, True), (None, None, False)]
    trials = [Trial(place, 'newcomer', {}, 'a', fitness, reason, known)
              for place, (fitness, reason, known) in enumerate(outcomes)]
    write_record(tmp_path, {'random': trials, 'evolution': trials[:1]}, SPACE, replace(SMALL, method='random'))
    assert count_trained(tmp_path) == 3
