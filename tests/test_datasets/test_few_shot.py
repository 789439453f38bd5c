import pytest
from mmengine.registry import DefaultScope
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS as HOST_DATASETS
from numbered import numbers

from mmamd.datasets import FewShot

LABELS = [1, 0, 1, 1, 0, 2, 0, 2]


class Labelled(BaseDataset):
    """Sample i is the number i, of class LABELS[i]."""

    METAINFO = {'classes': ('a', 'b', 'c')}

    def __init__(self, classes=None, **kwargs):
        self.classes_of = classes
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self):
        return [dict(number=number, gt_label=label) for number, label in enumerate(LABELS)]

    def get_cat_ids(self, idx):
        return super().get_cat_ids(idx) if self.classes_of is None else self.classes_of


@pytest.mark.parametrize('shots, expected', [(1, [0, 1, 5]), (2, [0, 1, 2, 4, 5, 7]), (None, list(range(8)))])
def test_the_first_images_of_each_class_in_the_order_of_the_data_set(shots, expected):
    dataset = FewShot(dataset=Labelled(), shots=shots)
    assert numbers(dataset) == expected and f'shots={shots}' in repr(dataset)
    assert [dataset.get_cat_ids(index) for index in range(len(dataset))] == [[LABELS[each]] for each in expected]


def test_a_config_takes_few_images_of_those_that_are_not_held_out():
    HOST_DATASETS.register_module(module=Labelled)
    try:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            dataset = HOST_DATASETS.build(dict(type='mmamd.FewShot', shots=1, dataset=dict(
                type='mmamd.HoldOut', part='train', every=2, dataset=dict(type='Labelled'))))
    finally:
        HOST_DATASETS.module_dict.pop('Labelled')
    assert numbers(dataset) == [0, 1, 5] and dataset.metainfo == {'classes': ('a', 'b', 'c')}


@pytest.mark.parametrize('shots', [0, -1, 1.5, True, '5'])
def test_shots_that_are_no_number_of_images_are_refused(shots):
    with pytest.raises(ValueError, match='shots must be an integer of at least 1, got .*; None takes all images'):
        FewShot(dataset=Labelled(lazy_init=True), shots=shots, lazy_init=True)


def test_more_shots_than_a_class_has_images_and_several_classes_are_refused():
    with pytest.raises(ValueError, match='shots=3 are more than the 2 images of class 2 of this Labelled'):
        FewShot(dataset=Labelled(), shots=3)
    with pytest.raises(ValueError, match=r'exactly one class a sample is needed, got \[0, 1\] for sample 0'):
        FewShot(dataset=Labelled(classes=[0, 1]), shots=1)
    with pytest.raises(TypeError, match='got str'):
        FewShot(dataset='cifar100', shots=1)


def test_a_class_without_images_is_refused_too(monkeypatch):
    monkeypatch.setattr('test_few_shot.LABELS', [0, 0, 1])
    with pytest.raises(ValueError, match='shots=1 are more than the 0 images of class 2 of this Labelled'):
        FewShot(dataset=Labelled(), shots=1)
