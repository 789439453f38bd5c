"""What every part of a data set has in common, whatever rule chooses it."""

import pickle
from functools import partial

import pytest
from mmengine.dataset import ConcatDataset
from numbered import Numbered, numbers

from mmamd.datasets import FewShot, HoldOut

LABELS = (0, 1, 0, 1, 0, 1)
PARTS = {'HoldOut': (partial(HoldOut, part='train', every=2), [0, 1, 4, 5]),
         'FewShot': (partial(FewShot, shots=1), [0, 1])}


@pytest.fixture(params=PARTS)
def part(request):
    """(function that takes a part of a data set, indices of its images)."""
    return PARTS[request.param]


def test_the_first_use_loads_what_is_left_for_it(part):
    take, expected = part
    dataset = take(dataset=Numbered(LABELS, lazy_init=True), lazy_init=True)
    assert not dataset.dataset._fully_initialized and dataset.metainfo == {'classes': ('even', 'odd')}
    assert numbers(dataset) == expected


def test_some_of_a_part_are_taken_of_one_that_is_not_loaded_yet(part):
    take, expected = part
    some = take(dataset=Numbered(LABELS, lazy_init=True), lazy_init=True).get_subset([1])
    assert numbers(some) == expected[1:2] and some._get_ori_dataset_idx(0) == expected[1]


def test_a_worker_process_gets_the_same_part_and_the_data_set_stays_whole(part):
    take, expected = part
    whole = Numbered(LABELS)
    assert numbers(pickle.loads(pickle.dumps(take(dataset=whole)))) == expected
    assert numbers(whole) == list(range(6))


def test_wrappers_that_have_no_parts_are_refused_by_name(part):
    take, _ = part
    several = ConcatDataset([Numbered(LABELS), Numbered(LABELS)])
    with pytest.raises((TypeError, ValueError), match='ConcatDataset'):
        take(dataset=several)
    with pytest.raises(TypeError, match='no part of a ConcatDataset can be taken; take it of each data set'):
        HoldOut(dataset=several, part='train', every=2, block=2)
