"""No image is in two splits, however it is reached and whatever its label, unless the config says so."""

import numpy as np
import pytest
from image_folders import dataset_of, image_folder

import mmamd
from mmamd.pipeline.images.overlap import allowed_overlaps, common_images, image_key, is_let_pass, join_keys
from mmamd.visualization import read_run
from mmamd.visualization.report import report_html


def refused(config, match, work_dir):
    with pytest.raises(ValueError, match=match):
        mmamd.compress(config, work_dir=work_dir)
    assert not work_dir.exists()


# --- what an image is known by ---

def test_a_file_is_the_same_by_whatever_path_and_label_it_is_reached(tmp_path):
    (path,) = image_folder(tmp_path / 'data', num=1)
    (tmp_path / 'other').symlink_to(tmp_path / 'data')
    (tmp_path / 'link.png').symlink_to(path)
    key = image_key(dict(img_path=str(path), gt_label=0))
    for other in (tmp_path / 'other' / 'train' / 'c0' / '0.png', tmp_path / 'link.png',
                  tmp_path / 'data' / '..' / 'data' / 'train' / 'c0' / '0.png'):
        assert image_key(dict(img_path=str(other), gt_label=3)) == key
    assert image_key(dict(img_path=str(path) + 'x')) != key


def test_an_image_in_memory_is_known_by_its_pixels_and_not_by_its_name():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert image_key(dict(img=image, gt_label=1)) == image_key(dict(img=image.copy(), img_path='a', gt_label=2))
    assert image_key(dict(img=image)) != image_key(dict(img=image + 1))


def test_images_that_tell_neither_file_nor_pixels_are_not_compared():
    assert image_key(dict(gt_label=1)) is None
    assert join_keys([b'12345678', None], {}) is None


def keys_of(*numbers, pixels=False):
    first = dict(img=np.zeros(1)) if pixels else {}
    return join_keys([number.to_bytes(8, 'little') for number in numbers], first)


def test_common_images_are_counted_once_and_the_first_is_found():
    assert common_images(keys_of(1, 2, 3, 3), keys_of(9, 3, 2)) == (2, 1)
    assert common_images(keys_of(1, 2), keys_of(3)) == (0, 0)


def test_a_few_equal_pictures_of_a_published_data_set_are_let_pass_but_no_file():
    many, others = range(1000), range(990, 1990)  # 10 of 1,000 in common: a hundredth
    assert is_let_pass(10, keys_of(*many, pixels=True), keys_of(*others, pixels=True))
    assert not is_let_pass(11, keys_of(*many, pixels=True), keys_of(*others, pixels=True))
    assert not is_let_pass(1, keys_of(*many), keys_of(*others))


# --- a run ---

@pytest.mark.parametrize('overrides, match', [
    ({'val_dataloader.dataset.part': 'train'},
     r'train_dataloader \(163 images\) and val_dataloader \(163 images\) have 163 images in common, the first the '
     r'image at 0 of train_dataloader: candidates would be chosen on images that they were trained on.*mmamd.HoldOut '
     r"with the same every=.*allow_overlap=\['train-val'\], which the report shows"),
    ({'train_dataloader.dataset.every': 4},
     r'train_dataloader .* and val_dataloader \(37 images\) have \d+ images in common'),
    ({'test_dataloader.dataset.split': 'train'}, 'train_dataloader .* and test_dataloader .*: the student would be '
                                                 'reported on images that it was trained on'),
], ids=['val is train', 'every=4 beside every=5', 'test is train'])
def test_splits_with_images_in_common_are_refused(tiny_config, tmp_path, overrides, match):
    refused(tiny_config(**overrides), match, tmp_path / 'run')


def test_the_test_split_as_held_out_images_is_refused(tiny_config, tmp_path):
    config = tiny_config()
    config.val_dataloader.dataset = config.test_dataloader.dataset
    refused(config, r'val_dataloader .* and test_dataloader .*: the choice would be made on the images that judge it',
            tmp_path / 'run')


def test_a_stages_own_images_are_compared_too(tiny_config, tmp_path):
    refused(tiny_config(student=dict(train_dataloader=dict(dataset=dict(part='held_out')))),
            "train_dataloader of the stage 'student' .*37 images.* and val_dataloader .*have 37 images in common",
            tmp_path / 'run')


def test_a_file_reached_by_two_data_roots_is_refused(tiny_config, tmp_path):
    image_folder(tmp_path / 'data', 'train')
    image_folder(tmp_path / 'data', 'select')
    (tmp_path / 'data' / 'select.txt').write_text('c3/3.png 0\n')
    (tmp_path / 'same').symlink_to(tmp_path / 'data')
    config = tiny_config(**{'train_dataloader.batch_size': 5})
    config.train_dataloader.dataset = dataset_of(tmp_path / 'data', 'train')
    config.val_dataloader.dataset = dataset_of(tmp_path / 'same', 'select', prefix='train')
    refused(config, r'have 1 image in common, the first \S+/train/c3/3.png', tmp_path / 'run')


@pytest.mark.parametrize('value', ['train-val', ['val-train'], ['train'], True, [1]])
def test_a_permission_that_names_no_pair_is_refused(tiny_config, tmp_path, value):
    refused(tiny_config(allow_overlap=value), "allow_overlap must be a list of some of .*'train-val'.*got",
            tmp_path / 'run')


def test_permission_is_given_a_pair_at_a_time():
    assert allowed_overlaps(None) == () and allowed_overlaps(['val-test']) == ('val-test',)


@pytest.mark.slow
def test_an_allowed_overlap_is_in_the_summary_and_in_the_report(tiny_config, tmp_path):
    config = tiny_config(allow_overlap=['val-test'], **{
        'method': dict(type='mmamd.KD', _delete_=True), 'student.train_cfg.max_epochs': 1})
    config.val_dataloader.dataset = config.test_dataloader.dataset
    summary = mmamd.compress(config, work_dir=tmp_path / 'run')
    assert summary['record']['overlaps'] == {'val-test': {'images': 100, 'allowed': True}}
    assert 'The splits val and test have 100 images in common' in report_html(read_run(tmp_path / 'run'))
