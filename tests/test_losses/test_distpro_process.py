import json
import math

import pytest
import torch

from mmamd.distillation.losses.distpro.normalisation import normalised
from mmamd.distillation.losses.distpro.pathways import Pathway, lay_pathways
from mmamd.distillation.losses.distpro.process import Process

WEIGHTS = ((1.0, 0.0, 0.5), (0.0, 0.25, 0.5), (0.1, 0.75, 0.5))


def process(weights=WEIGHTS, **changes):
    settings = dict(student_levels=('a', 'b'), teacher_levels=('c', 'd'), weights=weights, alphas=weights,
                    pathways=lay_pathways('student_ge_teacher', 2), steps=(0, 40, 100)[:len(weights)])
    return Process(**{**settings, **changes})


# --- over time ---

def test_weights_are_exact_at_the_points_and_linear_between_them():
    found = process()
    assert [found.at(step / 100) for step in found.steps] == list(WEIGHTS)
    assert found.at(0.2) == pytest.approx((0.5, 0.125, 0.5))  # half of the way
    assert found.at(0.55) == pytest.approx((0.025, 0.375, 0.5))  # a quarter of the way
    assert process(steps=(10, 40, 100)).at(0.05) == WEIGHTS[0]  # before the first point


def test_a_process_twice_as_long_passes_the_same_points_to_the_last_bit():
    points = tuple((0.1 * k, 1 / (k + 1), math.sqrt(k)) for k in range(31))
    found = process(points, steps=tuple(range(0, 93, 3)))
    assert all(found.at(2 * step / 180) == row for step, row in zip(found.steps, points, strict=True))


def test_a_constant_process_stays_exactly_what_it_is():
    found = process((WEIGHTS[2],) * 3)
    assert all(found.at(i / 7) == WEIGHTS[2] for i in range(8))


def test_alphas_may_be_interpolated_in_place_of_weights():
    found = process(normalisation='biased_softmax', scale=3.)
    expected = normalised(torch.tensor([0.5, 0.125, 0.5], dtype=torch.float64), 'biased_softmax', 3.)
    assert found.at(0.2, 'alphas') == pytest.approx(tuple(expected.tolist()))


def test_kept_share_falls_with_the_threshold():
    found = process()
    # Of 1, 0, .5, 0, .25, .5, .1, .75, .5: a threshold is itself kept.
    assert [found.kept_share(each) for each in (0., 0.25, 0.5, 0.6, 0.8, 2.)] == pytest.approx(
        [1, 6 / 9, 5 / 9, 2 / 9, 1 / 9, 0])
    halved = process(tuple(tuple(weight / 2 for weight in row) for row in WEIGHTS))
    assert halved.kept_share(0.6, relative_to_max=True) == found.kept_share(0.6)


# --- another pair ---

def test_a_pair_of_as_many_levels_has_the_same_pathways():
    assert process().columns(2) == {Pathway(0, 0): 0, Pathway(0, 1): 1, Pathway(1, 1): 2}


def test_a_level_map_says_which_levels_there_are():
    names = ('a', 'b', 'c')
    wide = process((tuple(range(6)),) * 2, student_levels=names, teacher_levels=names,
                   pathways=lay_pathways('student_ge_teacher', 3))
    # Of t0-s0 t0-s1 t0-s2 t1-s1 t1-s2 t2-s2 those of the levels 0 and 2.
    assert wide.columns(2, [0, 2]) == {Pathway(0, 0): 0, Pathway(0, 1): 2, Pathway(1, 1): 5}


@pytest.mark.parametrize('levels, level_map, message', [
    (3, None, r'the process is between 2 levels of each network, got a pair of 3; .* by level_map'),
    (2, [1, 0], r'level_map must be 2 ascending numbers within 0..1, .*got \[1, 0\]'),
    (2, [0, 2], 'level_map must be'), (2, [0], 'level_map must be')])
def test_other_levels_are_refused(levels, level_map, message):
    with pytest.raises(ValueError, match=message):
        process().columns(levels, level_map)


def test_a_map_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r'level_map=\[1\] leaves no pathway of the process, which has t0-s0, t0-s1'):
        process(tuple(row[:2] for row in WEIGHTS), pathways=lay_pathways([(0, 0), (0, 1)], 2)).columns(1, [1])


# --- files ---

def test_what_was_written_is_read(tmp_path):
    written = process(pathways=lay_pathways([(0, 0), (1, 0), (0, 1, 'cnn')], 2), scale=3.0, config_hash='0123')
    written.write(tmp_path / 'process.json')
    assert Process.read(tmp_path / 'process.json') == written
    assert json.loads((tmp_path / 'process.json').read_text())['pathways'][2] == [0, 1, 'cnn']


@pytest.mark.parametrize('key, value, message', [
    ('steps', [0, 40, 40], r'process.json: steps must be ascending whole numbers, .*\[0, 40, 40\]: put a whole copy'),
    ('steps', [0, 40], 'alphas must have a number for each of 2 steps'),
    ('weights', [[1, 0, math.nan], *WEIGHTS[1:]], 'weights has what is no finite number'),
    ('weights', [[1, 0, -0.5], *WEIGHTS[1:]], 'weights has a negative number'),
    ('pathways', [[0, 0], [0, 1]], r'alphas must have a number .* of the pathways t0-s0, t0-s1, got 3 rows of \[3\]'),
    ('pathways', [[0, 0], [0, 1], [1, 2]], 'the pathway t1-s2 needs a level that is not there; there are 2'),
    ('pathways', [], 'pathways leaves no pathway'),
    ('pathways', [[0, 0], [0, 1], 'x'], "pathways has 'x', which is no pathway"),
    ('student_levels', ['a'], 'a process is between as many levels of both networks'),
    ('normalisation', 'style2', 'normalisation must be one of'),
    ('extra', 1, 'does not hold what is expected of it')])
def test_a_file_that_holds_no_process_is_refused(key, value, message, tmp_path):
    path = tmp_path / 'process.json'
    process().write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match=message):
        Process.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='there is no process .*none.json; name the file that a search has written'):
        Process.read(tmp_path / 'none.json')
