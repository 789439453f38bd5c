"""Images that are mixed while they are read: what is seen, what the label says, and that a seed brings it again."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from mmamd.datasets import MixedImages, RepeatedViews
from mmamd.registry import DATASETS


class Plain:
    """Image i is full of 50 i, of class i; the last one is wider where it is said to be."""

    metainfo = {'classes': tuple('abcd')}

    def __init__(self, last_width=6, dtype=torch.uint8):
        self.last_width, self.dtype = last_width, dtype

    def full_init(self):
        pass

    def __len__(self):
        return 4

    def __getitem__(self, idx):
        width = self.last_width if idx == 3 else 6
        return dict(inputs=torch.full((3, 8, width), 50 * idx, dtype=self.dtype),
                    data_samples=DataSample(metainfo=dict(sample_idx=idx)).set_gt_label(idx))


def read(share, idx, num=200, **options):
    """One image, as often as said."""
    mixed = MixedImages(dataset=Plain(**options), share=share, num_classes=4)
    np.random.seed(0)
    return [mixed[idx] for _ in range(num)]


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_the_label_says_how_much_is_seen_of_which_image(dtype):
    kinds = set()
    for sample in read(1., 1, dtype=dtype):
        image, score_C = sample['inputs'], sample['data_samples'].gt_score
        assert image.shape == (3, 8, 6) and image.dtype == dtype
        assert score_C.sum().item() == pytest.approx(1.)
        # The mean brightness is that of the images in the label's proportions; mixup rounds each pixel of bytes.
        expected = (score_C * torch.tensor([0., 50., 100., 150.])).sum().item()
        assert image.float().mean().item() == pytest.approx(expected, abs=0.51)
        kinds.add((len(image.unique()) > 1, len(score_C.nonzero()) > 1))
    # CutMix, of which two images are seen; mixup, whose pixels are all alike; and what is mixed with itself or hardly.
    assert {(True, True), (False, True), (False, False)} <= kinds


def test_half_is_mixed_by_each_and_the_proportions_are_uniform():
    several = [sample for sample in read(1., 1, num=2000) if len(sample['data_samples'].gt_score.nonzero()) > 1]
    cut = [sample for sample in several if len(sample['inputs'].unique()) > 1]
    assert len(cut) / len(several) == pytest.approx(0.5, abs=0.05)
    by_mixup = [sample['data_samples'].gt_score[1].item() for sample in several
                if len(sample['inputs'].unique()) == 1]
    assert np.quantile(by_mixup, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


def test_as_many_are_mixed_as_the_share_says_and_the_others_are_as_they_were():
    found = read(0.3, 1, num=1000)
    alone = [sample for sample in found if torch.equal(sample['inputs'], Plain()[1]['inputs'])]
    # Seven tenths are not mixed, and of the others a quarter is mixed with itself.
    assert len(alone) / len(found) == pytest.approx(0.7 + 0.3 / 4, abs=0.05)
    for sample in read(0., 2, num=3):
        assert torch.equal(sample['inputs'], Plain()[2]['inputs'])
        assert sample['data_samples'].gt_score.tolist() == [0., 0., 1., 0.]


def test_an_image_stays_known_by_its_place_and_its_class():
    for sample in read(1., 2, num=20):
        assert sample['data_samples'].sample_idx == 2 and sample['data_samples'].gt_label.tolist() == [2]


def test_a_view_of_mixed_images_comes_again_and_another_is_another():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        views = DATASETS.build(dict(type='mmamd.RepeatedViews', seed=0, dataset=dict(
            type='mmamd.MixedImages', share=1., num_classes=10, dataset=dict(type='mmamd.Digits', pipeline=[
                dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')]))))
    assert isinstance(views, RepeatedViews)
    first = views[5]
    np.random.rand()
    again = views[5]
    views.view = 1
    other = views[5]
    assert torch.equal(first['inputs'], again['inputs']) and not torch.equal(first['inputs'], other['inputs'])
    assert torch.equal(first['data_samples'].gt_score, again['data_samples'].gt_score)


@pytest.mark.parametrize('share', [-0.1, 1.5, 'most', True])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match='share must be a finite number of at least 0 of at most 1'):
        MixedImages(dataset=Plain(), share=share, num_classes=4)


def test_images_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r'image 0 of .* \(3, 8, 6\), image 3 of \(3, 8, 9\), .*resize to a fixed'):
        read(1., 0, last_width=9)
