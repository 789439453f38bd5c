"""Image files are looked at before anything runs; what breaks later is named."""

import re

import pytest
import torch
from image_folders import dataset_of, image_folder
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATASETS
from PIL import Image

import mmamd
from mmamd.pipeline.images.files import check_files, fault_of, reads_files


def a_picture(path, **options):
    """200 x 200 pixels of a gradient, some kB in any format."""
    Image.linear_gradient('L').resize((200, 200)).convert('RGB').save(path, **options)
    return path


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.bmp', 'a.gif', 'a.webp', 'a.tiff'])
def test_a_whole_file_has_no_fault(tmp_path, name):
    path = a_picture(tmp_path / name)
    assert fault_of(str(path)) is None and fault_of(str(path), decode=True) is None


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
def test_a_truncated_file_is_noticed_without_decoding_the_whole_ones(tmp_path, name, share):
    path = a_picture(tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    assert re.search('(?i)truncated|no image of a format', fault_of(str(path)))


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
def test_bytes_behind_the_end_of_an_image_are_no_fault(tmp_path, name):
    path = a_picture(tmp_path / name)
    path.write_bytes(path.read_bytes() + b'written by a camera' * 10)
    assert fault_of(str(path)) is None


@pytest.mark.parametrize('content, fault', [
    (b'', 'is empty'), (b'<html>not found</html>', 'is no image of a format that can be read'),
    (b'\x89PNG\r\n\x1a\n', 'is no image'), (b'\x00' * 5000, 'is no image')])
def test_what_is_no_image_is_told(tmp_path, content, fault):
    (tmp_path / 'a.png').write_bytes(content)
    assert fault in fault_of(str(tmp_path / 'a.png'))


def test_a_missing_file_and_a_folder_in_its_place_are_told(tmp_path):
    assert fault_of(str(tmp_path / 'a.png')) == 'is missing'
    (tmp_path / 'a.png').mkdir()
    assert fault_of(str(tmp_path / 'a.png')) == 'cannot be read: Is a directory'


def test_a_file_of_a_remote_store_is_not_looked_at():
    assert fault_of('s3://bucket/a.png') is None


def test_damaged_pixels_behind_a_good_header_are_found_in_the_decoded_sample(tmp_path):
    path = a_picture(tmp_path / 'a.png')
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xff
    path.write_bytes(content)
    assert fault_of(str(path)) is None
    assert 'truncated or damaged' in fault_of(str(path), decode=True)


def test_all_files_of_a_data_set_are_looked_at_and_the_first_bad_ones_named(tmp_path):
    paths = image_folder(tmp_path, num=600)
    dataset = DATASETS.build(dataset_of(tmp_path))
    check_files(dataset, 'train')
    for path in paths[::100]:
        path.write_bytes(b'')
    paths[599].unlink()
    with pytest.raises(ValueError, match=r'(?s)7 of 600 image files of the train data set cannot be read: \S+/0.png is '
                                         r'empty; \S+/100.png is empty; .*; and 2 more. Restore them') as refused:
        check_files(dataset, 'train')
    assert '500.png' not in str(refused.value)


def test_processes_of_a_machine_share_the_files(tmp_path):
    paths = image_folder(tmp_path, num=9)
    dataset = DATASETS.build(dataset_of(tmp_path))
    paths[4].unlink()
    check_files(dataset, 'train', share=(1, 2))
    with pytest.raises(ValueError, match='1 of 5 image files of the train data set .*/4.png is missing'):
        check_files(dataset, 'train', share=(0, 2))


def test_only_files_that_the_host_reads_from_a_disk_are_looked_at(tmp_path):
    config = dataset_of(tmp_path)
    assert reads_files(config)
    assert reads_files(dict(type='mmamd.HoldOut', dataset=config))
    for reader in (dict(type='LoadImageFromFile', backend_args=dict(backend='petrel')), dict(type='MyReader')):
        assert not reads_files({**config, 'pipeline': [reader]})
    assert not reads_files(dict(type='mmamd.Digits', pipeline=[]))


# --- before a run ---

@pytest.fixture
def folder_config(tiny_config, tmp_path):
    """tiny_config.py over folders of images: ten to train on, ten to choose by; tested on digits."""
    config = tiny_config()
    for split, name in (('train', 'train'), ('val', 'select')):
        image_folder(tmp_path / 'data', name)
        config[f'{split}_dataloader'].dataset = dataset_of(tmp_path / 'data', name)
    config.train_dataloader.batch_size = 5
    return config


@pytest.mark.parametrize('split, name, content, fault', [
    ('train', 'train/c7/7.png', b'', '1 of 10 image files of the train data set cannot be read: .*c7/7.png is empty'),
    ('val', 'select/c9/9.png', b'text', 'of the val data set cannot be read: .*c9/9.png is no image'),
    ('val', 'select/c3/3.png', None, 'of the val data set cannot be read: .*c3/3.png is missing')])
def test_an_image_anywhere_that_cannot_be_read_is_refused(folder_config, tmp_path, split, name, content, fault):
    path = tmp_path / 'data' / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=fault):
        mmamd.compress(folder_config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_folders_may_have_any_name(tiny_config, tmp_path):
    root, work_dir = (tmp_path / f'{name}: it\'s a "name" of $HOME; * %s {{}}' for name in ('data', 'run'))
    image_folder(root, 'train', num=20)
    image_folder(root, 'select')
    config = tiny_config(data_root=str(root), **{
        'method': dict(type='mmamd.KD'), 'compression.importance.check_teacher': False,
        'student.train_cfg.max_epochs': 1, 'train_dataloader.num_workers': 0, 'train_dataloader.batch_size': 5})
    for split, name in (('train', 'train'), ('val', 'select')):
        config[f'{split}_dataloader'].dataset = dataset_of(root, name)
        config[f'{split}_dataloader'].dataset.pop('data_root')
    config.test_dataloader.dataset = dataset_of(root, 'select')
    config.allow_overlap = ['val-test']
    summary = mmamd.compress(config, work_dir=work_dir)
    assert mmamd.load_student(work_dir) is not None
    again = Config.fromfile(work_dir / 'run_config.py')
    assert (again.data_root, again.work_dir) == (str(root), str(work_dir))
    assert mmamd.compress(again) == summary


@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_breaks_later_is_named(tmp_path, workers):
    paths = image_folder(tmp_path, num=4)
    dataset = DATASETS.build(dataset_of(tmp_path))
    paths[2].write_bytes(b'')
    loader = torch.utils.data.DataLoader(dataset, sampler=DefaultSampler(dataset, shuffle=False), collate_fn=list,
                                         num_workers=workers, batch_size=2)
    with pytest.raises(RuntimeError, match=r'(?s)image \S+/c2/2.png of a CustomDataset cannot be read and transformed.*'
                                           'Mend or restore it'):
        list(loader)
