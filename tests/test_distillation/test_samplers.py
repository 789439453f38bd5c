from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmamd.distillation import SandwichSparsityHook, sample_candidates
from mmamd.distillation.samplers import SAMPLERS, check_halvings, drawable, halve
from mmamd.structures import Candidate, Cost

SCALES = [0.1, 0.2, 0.4, 0.6, 0.8]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(SAMPLERS), st.integers(1, 4), st.integers(0, 2**31), st.integers(0, 10**6), st.floats(0, 1))
def test_the_draw_is_a_function_of_seed_and_iteration_alone(sampler, num_random, seed, iteration, done):
    draws = []
    for rank in range(2):
        np.random.seed(rank)
        torch.manual_seed(rank)
        draws.append(sample_candidates(SCALES, sampler, num_random, seed, iteration, done))
    assert draws[0] == draws[1]


@given(st.integers(0, 1000))
def test_all_takes_every_candidate(iteration):
    assert sample_candidates(SCALES, 'all', 1, 0, iteration) == SCALES


@settings(max_examples=30)
@given(st.integers(0, 6), st.integers(0, 1000))
def test_sandwich_takes_the_smallest_the_largest_and_some_between(num_random, iteration):
    drawn = sample_candidates(SCALES, 'sandwich', num_random, 0, iteration)
    assert drawn[0] == 0.1 and drawn[-1] == 0.8
    assert drawn == sorted(set(drawn)) and len(drawn) == 2 + min(num_random, 3)


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_smallest_random_takes_the_smallest_and_some_of_the_others(num_random, iteration):
    drawn = sample_candidates(SCALES, 'smallest_random', num_random, 0, iteration)
    assert drawn[0] == 0.1
    assert drawn == sorted(set(drawn)) and len(drawn) == 1 + min(num_random, 4)


@settings(max_examples=30)
@given(st.sampled_from(['random', 'falling', 'progressive']), st.integers(1, 7), st.integers(0, 1000))
def test_random_takes_as_many_as_asked_in_ascending_order(sampler, num_random, iteration):
    drawn = sample_candidates(SCALES, sampler, num_random, 0, iteration)
    assert drawn == sorted(set(drawn)) and len(drawn) == min(num_random, 5)


@pytest.mark.parametrize('sampler, expected', [
    ('sandwich', {0.2, 0.4, 0.6}), ('smallest_random', {0.2, 0.4, 0.6, 0.8}), ('random', set(SCALES))])
def test_every_candidate_has_its_turn_about_equally_often(sampler, expected):
    drawn = [scale for i in range(1000) for scale in sample_candidates(SCALES, sampler, 1, 1, i)]
    counts = {scale: drawn.count(scale) for scale in expected}
    share = 1000 / len(expected)
    assert all(0.8 * share < count < 1.2 * share for count in counts.values()), counts


def test_falling_draws_a_scale_as_often_as_it_is_small():
    # 1 / scale is 10, 5, 2.5, 5/3, 5/4, in all 245/12.
    drawn = [scale for i in range(4000) for scale in sample_candidates(SCALES, 'falling', 1, 1, i)]
    for scale in SCALES:
        expected = 4000 * 12 / 245 / scale
        assert 0.85 * expected < drawn.count(scale) < 1.15 * expected, scale


@pytest.mark.parametrize('done, expected', [
    (0., [0.8]), (0.19, [0.8]), (0.2, [0.6, 0.8]), (0.5, [0.4, 0.6, 0.8]), (0.8, SCALES), (0.999, SCALES)])
def test_progressive_starts_with_the_largest_and_takes_in_a_smaller_one_each_fifth_of_the_stage(done, expected):
    assert sample_candidates(SCALES, 'progressive', 5, 0, 0, done) == expected
    drawn = {scale for i in range(100) for scale in sample_candidates(SCALES, 'progressive', 1, 0, i, done)}
    assert drawn == set(expected)


@pytest.mark.parametrize('below, expected', [
    (None, SCALES), (1., SCALES), (0.4, [0.1, 0.2]), (0.5, [0.1, 0.2, 0.4]), (0.05, [0.1])])
def test_a_bound_leaves_what_is_smaller_and_always_the_student(below, expected):
    assert drawable(SCALES, below) == expected
    assert [candidate.scale for candidate in drawable(candidates_at(*SCALES), below)] == expected


def test_other_seeds_and_other_iterations_draw_otherwise():
    def sequence(seed):
        return [sample_candidates(SCALES, 'random', 1, seed, i) for i in range(20)]

    assert sequence(0) != sequence(1)
    assert len({scale for drawn in sequence(0) for scale in drawn}) > 1


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('scales', [[0.1], [0.1, 0.5]])
def test_one_or_two_candidates_are_each_taken_once(sampler, scales):
    assert sample_candidates(scales, sampler, 2, 0, 0) == scales


@pytest.mark.parametrize('arguments, message', [
    (dict(sampler='largest'), r"unknown candidate sampler 'largest'; expected one of \('all', 'sandwich', "
     r"'smallest_random', 'random', 'falling', 'progressive'\)"),
    (dict(sampler='random', num_random=0), "at least 1 for sampler='random', got 0"),
    (dict(sampler='smallest_random', num_random=0), "at least 1 for sampler='smallest_random', got 0"),
    (dict(sampler='sandwich', num_random=-1), "at least 0 for sampler='sandwich', got -1"),
    (dict(sampler='falling', num_random=0), "at least 1 for sampler='falling', got 0"),
    (dict(below=0.), 'below must be a scale above 0 and at most 1, or None for no bound, got 0.0; e.g. below=0.5'),
    (dict(below=True), 'below must be a scale above 0 and at most 1, or None for no bound, got True'),
    (dict(below='0.5'), "below must be a scale above 0 and at most 1, or None for no bound, got '0.5'"),
    (dict(sampler='progressive', halve_after=[1]), r"halve_after=\[1\] would drop the small candidates, which "
                                                   "sampler='progressive' has not trained yet; leave halve_after out"),
    (dict(sampler='random', num_random=1.5), "must be an integer of at least 1 for sampler='random', got 1.5"),
])
def test_bad_arguments_are_refused_when_the_hook_is_built(arguments, message):
    with pytest.raises(ValueError, match=message):
        SandwichSparsityHook(**arguments)


def told_by(hook, iteration=7):
    """What a hook has the loop train at an iteration of ten."""
    runner = SimpleNamespace(model=SimpleNamespace(candidates=candidates_at(*SCALES)), train_loop=SimpleNamespace(),
                             seed=3, iter=iteration, max_iters=10, max_epochs=2,
                             message_hub=SimpleNamespace(runtime_info={}))
    hook.before_train(runner)
    hook.before_train_iter(runner, batch_idx=0)
    return [candidate.scale for candidate in runner.train_loop.step_candidates]


def test_the_hook_tells_the_loop_what_to_train():
    assert told_by(SandwichSparsityHook(sampler='random', num_random=2)) == sample_candidates(SCALES, 'random', 2, 3, 7)
    falling = sample_candidates(SCALES, 'falling', 2, 3, 7)
    assert told_by(SandwichSparsityHook(sampler='falling', num_random=2)) == falling


@pytest.mark.parametrize('sampler, expected', [('all', [0.1, 0.2, 0.4]), ('sandwich', [0.1, 0.2, 0.4]),
                                               ('progressive', [0.1, 0.2, 0.4])])
def test_the_hook_keeps_to_what_is_below_its_bound(sampler, expected):
    assert told_by(SandwichSparsityHook(sampler=sampler, num_random=3, below=0.5)) == expected


def test_the_hook_tells_a_progressive_sampler_how_far_the_stage_is():
    hook = SandwichSparsityHook(sampler='progressive', num_random=9)
    assert [len(told_by(hook, iteration)) for iteration in (0, 1, 2, 5, 9)] == [1, 1, 2, 3, 5]


def test_a_hook_without_a_bound_is_known_as_it_was_before_there_were_bounds():
    assert SandwichSparsityHook().identity() == dict(sampler='smallest_random', num_random=1, halve_after=[])
    assert SandwichSparsityHook(below=0.5).identity()['below'] == 0.5
    assert SandwichSparsityHook() == SandwichSparsityHook() != SandwichSparsityHook(below=0.5)


def test_a_bound_that_leaves_the_student_alone_is_refused():
    with pytest.raises(ValueError, match=r'below=0.2 leaves nothing to train beside the student, of the scales '
                                         r'\[0.1, 0.2, 0.4, 0.6, 0.8\]; raise it, or leave it out'):
        told_by(SandwichSparsityHook(below=0.2))


# --- halving ---

def candidates_at(*scales):
    return [Candidate(scale, {}, Cost(0, 0), scale) for scale in scales]


def test_halving_keeps_the_student_and_those_that_lose_least_for_what_they_save():
    # KL / (1 - S): 0.3 / 0.8 = 0.375, 0.24 / 0.6 = 0.4, 0.1 / 0.4 = 0.25, 0.06 / 0.2 = 0.3; the student is not judged.
    pool = candidates_at(0.1, 0.2, 0.4, 0.6, 0.8)
    kept = halve(pool, [9., 0.3, 0.24, 0.1, 0.06], teacher_scale=1.)
    assert [candidate.scale for candidate in kept] == [0.1, 0.6, 0.8]


def test_halving_takes_the_scale_of_the_network_that_teaches():
    # A teacher of scale 0.9: 0.3 / 0.7 = 0.43 against 0.04 / 0.1 = 0.4; one of scale 1: 0.375 against 0.2.
    pool = candidates_at(0.1, 0.2, 0.8)
    assert halve(pool, [0., 0.27, 0.04], teacher_scale=0.9)[1].scale == 0.2
    assert halve(pool, [0., 0.27, 0.04], teacher_scale=1.)[1].scale == 0.8


@pytest.mark.parametrize('losses, kept', [
    ([0., 0.75, 0.5, 0.25], [0.125, 0.25, 0.5]),  # each loses 1 for a unit of scale: the smaller two
    ([0., None, 0.5, 0.25], [0.125, 0.5, 0.75]),  # never drawn, so not known to be good
    ([None, 0.1, 0.2, 0.3], [0.125, 0.25, 0.5])])
def test_halving_of_equal_and_of_untrained_candidates(losses, kept):
    pool = halve(candidates_at(0.125, 0.25, 0.5, 0.75), losses, teacher_scale=1.)
    assert [candidate.scale for candidate in pool] == kept


@pytest.mark.parametrize('halve_after', [[0], [2, 1], [1, 1], [1.5], [True]])
def test_epochs_of_halvings_that_mean_nothing_are_refused(halve_after):
    with pytest.raises(ValueError, match='halve_after must be ascending numbers of epochs'):
        check_halvings(halve_after)
