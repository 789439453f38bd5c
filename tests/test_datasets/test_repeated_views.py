"""A view of an image comes again exactly, and nobody else's random numbers notice."""

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from mmamd.datasets import RepeatedViews
from mmamd.registry import DATASETS as OURS


class Noise:
    """Four images whose augmentation draws from all three generators."""

    metainfo = {'classes': ('a',)}

    def __init__(self, number=lambda idx: idx):
        self.number = number

    def full_init(self):
        pass

    def get_cat_ids(self, idx):
        return [0]

    def get_data_info(self, idx):
        return dict(sample_idx=idx, gt_label=0)

    def __len__(self):
        return 4

    def __getitem__(self, idx):
        drawn = torch.tensor([idx, random.random(), np.random.rand(), torch.rand(()).item()])
        return dict(inputs=drawn, data_samples=DataSample(metainfo=dict(sample_idx=self.number(idx))))


def seen(views, view, num_workers=0):
    """What a loader hands over of a view, the images in their order."""
    views.view = view
    loader = DataLoader(views, batch_size=2, num_workers=num_workers, collate_fn=pseudo_collate)
    return torch.stack([image for batch in loader for image in batch['inputs']])


def test_the_same_view_of_an_image_is_the_same_and_another_view_is_another():
    views = RepeatedViews(dataset=Noise(), seed=0)
    first, second = seen(views, 0), seen(views, 1)
    assert torch.equal(seen(views, 0), first) and torch.equal(seen(RepeatedViews(dataset=Noise(), seed=0), 1), second)
    # Column 0 is the image; the three draws differ between images, views and seeds.
    draws = torch.cat([first, second, seen(RepeatedViews(dataset=Noise(), seed=1), 0)])[:, 1:]
    assert draws.unique().numel() == draws.numel()


def test_a_view_does_not_depend_on_what_was_read_before_it():
    views = RepeatedViews(dataset=Noise(), seed=0)
    assert torch.equal(views[2]['inputs'], seen(views, 0)[2])


def test_workers_read_what_this_process_reads():
    views = RepeatedViews(dataset=Noise(), seed=0)
    for view in (0, 1):
        assert torch.equal(seen(views, view, num_workers=2), seen(views, view))


def test_the_state_of_the_generators_is_untouched():
    views = RepeatedViews(dataset=Noise(), seed=0)

    def draws():
        return random.random(), np.random.rand(), torch.rand(()).item()

    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(7)
    expected = draws(), draws()
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(7)
    assert draws() == expected[0]
    views[3]
    assert draws() == expected[1]


def test_also_when_an_image_cannot_be_read():
    views = RepeatedViews(dataset=Noise(number=lambda idx: 1 / 0), seed=0)
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        views[0]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize('number, why', [
    (lambda idx: None, 'sample_idx=None, expected 3, .*name it in meta_keys'),
    (lambda idx: idx % 2, 'sample_idx=1, expected 3, .*numbers its images anew, .*or the image is broken')])
def test_an_image_that_is_not_known_by_its_place_is_refused(number, why):
    with pytest.raises(ValueError, match=f'image 3 of the training set has {why}'):
        RepeatedViews(dataset=Noise(number), seed=0)[3]


def test_it_wraps_a_data_set_of_the_hosts_by_its_config():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        views = OURS.build(dict(type='mmamd.RepeatedViews', seed=0, dataset=dict(
            type='mmamd.HoldOut', part='train', every=5, dataset=dict(type='mmamd.Digits', pipeline=[
                dict(type='RandomCrop', crop_size=8, padding=2), dict(type='PackInputs')]))))
    assert isinstance(views, DATASETS.get('mmamd.RepeatedViews'))
    assert len(views) == 1157 and views.get_cat_ids(3) == [views.get_data_info(3)['gt_label']]
    assert views.metainfo['classes'] == tuple('0123456789')
    first = views[3]['inputs']
    views.view = 1
    assert not torch.equal(views[3]['inputs'], first)
    views.view = 0
    assert torch.equal(views[3]['inputs'], first)
