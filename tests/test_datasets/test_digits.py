import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS as HOST_DATASETS
from sklearn.datasets import load_digits

from mmamd.datasets import Digits
from mmamd.datasets.digits import to_rgb_uint8


def pictures(dataset):
    return np.stack([dataset[index]['img'] for index in range(len(dataset))])


def test_grey_levels_0_to_16_are_stretched_to_0_to_255_in_three_equal_channels():
    image_HWC = to_rgb_uint8(np.array([[[0., 1.], [8., 16.]]]))[0]
    assert image_HWC.shape == (2, 2, 3) and image_HWC.dtype == np.uint8
    # 255 / 16 = 15.94 -> 16; 8 x 15.9375 = 127.5 -> 128 (to the even number)
    assert image_HWC[..., 0].tolist() == [[0, 16], [128, 255]]
    assert (image_HWC == image_HWC[..., :1]).all()


def test_a_sample_looks_as_mmpretrains_cifar_serves_it():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = HOST_DATASETS.build(dict(type='mmamd.Digits', split='test', pipeline=[dict(type='PackInputs')]))
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 8, 8)
    assert str(sample['inputs'].dtype) == 'torch.uint8'
    assert sample['data_samples'].gt_label.tolist() == dataset.get_cat_ids(0)
    assert dataset.metainfo['classes'] == tuple('0123456789')


def test_the_splits_share_no_sample_and_are_all_of_the_digits():
    train, test = Digits(split='train'), Digits(split='test')
    assert (len(train), len(test)) == (1442, 355)
    labels = np.concatenate([train.get_gt_labels(), test.get_gt_labels()])
    assert np.bincount(labels).tolist() == np.bincount(load_digits().target).tolist()
    # No image occurs twice in the original, so an image in both splits would be a sample in both.
    images = {picture.tobytes() for picture in np.concatenate([pictures(train), pictures(test)])}
    assert len(images) == 1797


def test_every_class_has_a_fifth_of_its_images_in_the_test_split():
    totals = np.bincount(load_digits().target)
    assert np.bincount(Digits(split='test').get_gt_labels()).tolist() == (totals // 5).tolist()


def test_a_picture_keeps_its_label():
    digits = load_digits()
    dataset = Digits(split='train', indices=20)
    label_of = {picture.tobytes(): label
                for picture, label in zip(to_rgb_uint8(digits.images), digits.target, strict=True)}
    assert len(dataset) == 20
    for index in range(20):
        assert dataset[index]['gt_label'] == label_of[dataset[index]['img'].tobytes()]


def test_an_unknown_split_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"one of \('train', 'test'\), got 'val'"):
        Digits(split='val')
