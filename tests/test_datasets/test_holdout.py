import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS as HOST_DATASETS
from numbered import Numbered, numbers

from mmamd.datasets import HoldOut, split_by_class, split_in_blocks

# --- the split ---


def test_every_second_image_of_each_class_is_set_aside():
    # class a: 0 2 3 6 -> the 2nd and 4th are 2 and 6; class b: 1 4 5 -> the 2nd is 4
    assert split_by_class([7, 9, 7, 7, 9, 9, 7], every=2) == ([0, 1, 3, 5], [2, 4, 6])


def test_a_class_with_fewer_images_than_every_stays_in_training():
    assert split_by_class([0, 0, 0, 1, 1], every=3) == ([0, 1, 3, 4], [2])


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(2, 7))
def test_the_two_parts_are_disjoint_complete_and_take_the_same_share_of_every_class(labels, every):
    train, held_out = split_by_class(labels, every)
    assert sorted(train + held_out) == list(range(len(labels)))
    assert train == sorted(train) and held_out == sorted(held_out)
    for label in set(labels):
        assert sum(labels[index] == label for index in held_out) == labels.count(label) // every


@pytest.mark.parametrize('every', [1, 0, -3, 2.5, None])
def test_an_every_that_leaves_nothing_to_train_on_or_is_no_integer_is_refused(every):
    with pytest.raises(ValueError, match='every must be an integer of at least 2'):
        split_by_class([0, 0], every)


def test_every_second_block_of_neighbours_is_set_aside():
    # Blocks of three: 012 345 678 9; the last is shorter.
    assert split_in_blocks(10, every=2, block=3) == ([0, 1, 2, 6, 7, 8], [3, 4, 5, 9])


@pytest.mark.parametrize('block', [0, -1, 1.5, True])
def test_a_block_that_is_no_number_of_images_is_refused(block):
    with pytest.raises(ValueError, match='block must be an integer of at least 1'):
        split_in_blocks(10, every=2, block=block)


# --- the data set ---

@pytest.fixture(autouse=True)
def host_scope():
    """Run under MMPretrain's scope, with `Numbered` registered there as a user's own data set would be."""
    HOST_DATASETS.register_module(module=Numbered)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield
    HOST_DATASETS.module_dict.pop('Numbered')


def test_it_builds_from_a_config_whose_inner_type_belongs_to_the_default_scope():
    config = dict(type='mmamd.HoldOut', part='held_out', every=2, dataset=dict(type='Numbered'))
    assert numbers(HOST_DATASETS.build(config)) == [2, 3, 6]


def test_the_two_parts_of_one_data_set_fit_together():
    assert numbers(HoldOut(dataset=dict(type='Numbered'), part='train', every=2)) == [0, 1, 4, 5, 7]
    assert numbers(HoldOut(dataset=dict(type='Numbered'), part='held_out', every=2)) == [2, 3, 6]


def test_it_answers_what_a_wrapper_of_the_host_answers():
    dataset = HoldOut(dataset=Numbered(), part='held_out', every=2)
    assert len(dataset) == 3
    assert dataset.metainfo == {'classes': ('even', 'odd')}
    assert [dataset.get_cat_ids(index) for index in range(3)] == [[0], [1], [0]]
    assert dataset.get_data_info(1)['number'] == 3
    assert dataset._get_ori_dataset_idx(1) == 3
    assert "part='held_out', every=2" in repr(dataset)


def test_a_data_set_passed_in_is_left_whole():
    whole = Numbered()
    HoldOut(dataset=whole, part='train', every=2)
    assert numbers(whole) == list(range(8))


def test_a_part_is_held_out_of_a_part_in_turn():
    first = dict(type='mmamd.HoldOut', dataset=dict(type='Numbered'), part='train', every=2)
    train, held_out = (HoldOut(dataset=first, part=part, every=2) for part in ('train', 'held_out'))
    assert (numbers(train), numbers(held_out)) == ([0, 1, 7], [4, 5])
    assert held_out.dataset._get_ori_dataset_idx(1) == 5


def test_a_lazy_one_loads_at_the_first_use():
    dataset = HoldOut(dataset=dict(type='Numbered', lazy_init=True), part='train', every=2, lazy_init=True)
    assert not dataset.dataset._fully_initialized
    assert dataset.metainfo == {'classes': ('even', 'odd')}
    assert len(dataset) == 5


def test_a_replacement_of_a_broken_image_comes_from_the_same_part():
    def reject_two(sample):
        return None if sample['number'] == 2 else sample

    dataset = HoldOut(dataset=Numbered(pipeline=[reject_two]), part='held_out', every=2)
    assert {dataset[0]['number'] for _ in range(50)} <= {3, 6}


def test_a_worker_process_gets_the_same_part():
    dataset = HoldOut(dataset=Numbered(), part='train', every=2)
    assert numbers(pickle.loads(pickle.dumps(dataset))) == [0, 1, 4, 5, 7]


# --- bad input ---


def test_an_unknown_part_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"one of \('train', 'held_out'\), got 'val'"):
        HoldOut(dataset=Numbered(), part='val')


def test_a_bad_every_is_refused_before_any_file_is_read():
    with pytest.raises(ValueError, match='got 1'):
        HoldOut(dataset=Numbered(lazy_init=True), part='train', every=1, lazy_init=True)


def test_something_that_is_no_data_set_is_refused():
    with pytest.raises(TypeError, match='got str'):
        HoldOut(dataset='cifar100', part='train')


def test_an_empty_held_out_part_is_refused_with_the_size_of_the_data_set():
    with pytest.raises(ValueError, match=r'every=6 holds no image out.*8 images of 2 classes'):
        HoldOut(dataset=Numbered(), part='train', every=6)


def test_a_sample_of_several_classes_is_refused():
    class MultiLabel(Numbered):
        def get_cat_ids(self, idx):
            return [0, 1]

    with pytest.raises(ValueError, match=r'exactly one class a sample is needed, got \[0, 1\] for sample 0'):
        HoldOut(dataset=MultiLabel(), part='train', every=2)


# --- images without one class each ---

class Frames(Numbered):
    """Ten frames of a video."""

    def load_data_list(self):
        return [dict(number=number) for number in range(10)]

    def get_cat_ids(self, idx):
        raise NotImplementedError


def test_frames_are_held_out_block_by_block_and_not_without():
    parts = [HoldOut(dataset=Frames(), part=part, every=2, block=3) for part in ('train', 'held_out')]
    assert [[part.get_data_info(i)['number'] for i in range(len(part))] for part in parts] == [
        [0, 1, 2, 6, 7, 8], [3, 4, 5, 9]]
    with pytest.raises(ValueError, match='a Frames have no one class each to be split by; set block='):
        HoldOut(dataset=Frames(), part='train')
    with pytest.raises(ValueError, match='every=2 and block=10 hold no image out of the 10'):
        HoldOut(dataset=Frames(), part='train', every=2, block=10)
