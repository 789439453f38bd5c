"""Epochs of fixed length out of an endless stream of passes over a data set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmamd.datasets import StreamSampler
from mmamd.registry import DATA_SAMPLERS


def epochs(size, num_samples, number, rank=0, world_size=1, **settings):
    sampler = StreamSampler(range(size), num_samples, **settings)
    sampler.rank, sampler.world_size = rank, world_size
    found = []
    for epoch in range(number):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler) == num_samples
    return found


def test_in_order_it_goes_round_and_round():
    assert epochs(5, 3, 4, shuffle=False) == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]]


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 4), st.integers(0, 5))
def test_every_pass_has_each_image_once_and_processes_share_it(size, num_samples, world_size, seed):
    per_rank = [epochs(size, num_samples, 3, rank, world_size, seed=seed) for rank in range(world_size)]
    stream = [index for epoch in range(3) for i in range(num_samples) for rank in range(world_size)
              for index in [per_rank[rank][epoch][i]]]
    for begin in range(0, len(stream) - size + 1, size):
        assert sorted(stream[begin:begin + size]) == list(range(size))


def test_passes_and_seeds_are_permuted_each_in_its_own_way():
    first, second = epochs(50, 50, 2)
    assert first != second != list(range(50)) and sorted(first) == sorted(second)
    assert epochs(50, 50, 1, seed=1)[0] != first
    assert epochs(50, 50, 2) == [first, second]


def test_an_epoch_of_no_image_is_refused_and_the_host_finds_the_sampler():
    with pytest.raises(ValueError, match='num_samples must be at least 1, got 0'):
        StreamSampler(range(3), 0)
    assert len(DATA_SAMPLERS.build(dict(type='mmamd.StreamSampler', dataset=range(3), num_samples=2))) == 2
