"""How small the student is to be, as people write it."""

import argparse

import pytest

from mmamd.cli.goal import add_goal, goal_name, goal_of, latency, share


def parse(*words):
    parser = argparse.ArgumentParser()
    add_goal(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize('words, goal, name', [
    (['--to', '15%'], dict(student_scale=0.15), '15'), (['--to', '0.15'], dict(student_scale=0.15), '15'),
    (['--to', '25%', '10%', '10%'], dict(student_scale=[0.1, 0.25]), '10-25'),
    (['--keep', '98%'], dict(student_scale='auto', keep=0.98), 'keep98'),
    (['--latency', '2ms'], dict(student_scale='auto', latency='2ms'), '2ms')])
def test_a_goal_is_keys_of_compression(words, goal, name):
    args = parse(*words)
    assert goal_of(args, 0.02) == goal and goal_name(args) == name


@pytest.mark.parametrize('words', [['--keep', '98%'], ['--latency', '2ms']])
def test_sizes_that_cannot_be_are_not_tried(words):
    assert goal_of(parse(*words), 0.65)['scales'] == [0.7, 0.8, 0.9]


@pytest.mark.parametrize('text', ['15', '0', '1', '-5%', '100%', 'small', 'nan', '%'])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match='such as 15% or 0.15, got'):
        share(text)


def test_percent_that_was_left_out_is_offered():
    with pytest.raises(argparse.ArgumentTypeError, match='did you mean 15%'):
        share('15')


@pytest.mark.parametrize('text', ['2', 'ms', '0ms', '-1ms', '2 minutes'])
def test_a_time_without_a_unit_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match='a time with its unit, such as 2ms'):
        latency(text)


@pytest.mark.parametrize('words', [[], ['--to', '10%', '--keep', '98%']])
def test_one_goal_is_needed_and_no_more(words):
    with pytest.raises(SystemExit):
        parse(*words)
