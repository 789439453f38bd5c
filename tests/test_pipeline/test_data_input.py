"""Labels, classes, normalisation and batches that cannot be are refused, or said, before anything runs."""

import logging
import re

import numpy as np
import pytest
from image_folders import dataset_of, image_folder

import mmamd
from mmamd.datasets import Digits
from mmamd.pipeline.images import splits
from mmamd.pipeline.images.preprocessor import check_preprocessor
from mmamd.pipeline.stages.training import check_batches
from mmamd.registry import DATASETS
from mmamd.tasks import Classification

NAN, INF = float('nan'), float('inf')


def refused(config, match, work_dir):
    with pytest.raises(ValueError, match=match):
        mmamd.compress(config, work_dir=work_dir)
    assert not work_dir.exists()


# --- labels ---

@pytest.mark.parametrize('label', [0, 9, np.int64(3), [2], [1, 4], np.array(5), np.array([0, 9]), []], ids=repr)
def test_integers_below_the_number_of_classes_are_labels(label):
    assert Classification().check(dict(gt_label=label), 10) is None


@pytest.mark.parametrize('label, fault', [
    (-1, 'has label -1 of a.png but the head has 10 classes .0 to 9.: mend ann_file, which counts from 0'),
    ([3, -2], 'has label -2 of a.png'), (np.array(-1), 'has label -1'),
    (10, 'has label 10 but the head has 10 classes .0 to 9.; set model.architecture.head.num_classes'),
    ([0, 12], 'has label 12'), (1.0, r'has label 1.0 of a.png; expected an integer, the head has 10 classes'),
    (NAN, 'has label nan'), ('3', "has label '3'"), (True, 'has label True'), (None, 'has label None'),
    ([0.5], r'has label \[0.5\]')], ids=repr)
def test_other_labels_are_refused_with_the_image(label, fault):
    assert re.match(fault, Classification().check(dict(gt_label=label, img_path='a.png'), 10))


def test_a_negative_label_of_an_annotation_file_is_refused(tiny_config, tmp_path):
    image_folder(tmp_path / 'data')
    path = tmp_path / 'data' / 'train.txt'
    path.write_text(path.read_text().replace('c3/3.png 3', 'c3/3.png -1'))
    config = tiny_config()
    config.train_dataloader.dataset = dataset_of(tmp_path / 'data')
    refused(config, 'train data set CustomDataset .*has label -1 of .*c3/3.png but the head has 10', tmp_path / 'run')


@pytest.mark.parametrize('label', ['1.5', 'cat', ''])
def test_a_label_of_an_annotation_file_that_is_no_integer_is_refused(tiny_config, tmp_path, label):
    image_folder(tmp_path / 'data')
    path = tmp_path / 'data' / 'train.txt'
    path.write_text(path.read_text().replace('c3/3.png 3', f'c3/3.png {label}'))
    config = tiny_config()
    config.train_dataloader.dataset = dataset_of(tmp_path / 'data')
    refused(config, r'(?s)cannot read the train data set CustomDataset.*"<class>/<file> <label>"', tmp_path / 'run')


# --- classes ---

@DATASETS.register_module()
class FewDigits(Digits):
    """Digits of some classes alone."""

    def load_data_list(self):
        return [info for info in super().load_data_list() if info['gt_label'] not in (3, 4, 5, 6, 7, 8)]


@pytest.fixture
def said(monkeypatch):
    """Lines that the reading of data sets has logged, with their levels."""
    lines = []
    monkeypatch.setattr(splits, 'notice', lambda text, level: lines.append((level, text)))
    return lines


NO_BATCH = {'train_dataloader.batch_size': 1000}  # refused once the images have been looked through


def test_classes_without_images_are_warned_of_by_name(tiny_config, tmp_path, said):
    refused(tiny_config(**{'train_dataloader.dataset.dataset.type': 'mmamd.FewDigits'}, **NO_BATCH),
            'drop_last=True leaves nothing', tmp_path / 'run')
    (level, text), = said
    assert level == logging.WARNING
    assert re.match('the train data set mmamd.FewDigits .*has no image of 6 of 10 classes, of which nothing can be '
                    'learnt or said: 3, 4, 5, 6, 7 and 1 more', text)


def test_nothing_is_said_where_every_class_has_images(tiny_config, tmp_path, said):
    refused(tiny_config(**NO_BATCH), 'drop_last=True leaves nothing', tmp_path / 'run')
    assert said == []


# --- normalisation ---

@pytest.mark.parametrize('preprocessor, fault', [
    (dict(std=[0., 1., 1.]), r'std must be positive finite numbers.*got \[0.0, 1.0, 1.0\]; those of ImageNet are'),
    (dict(std=[-1., 1., 1.]), 'std must be positive'), (dict(std=[NAN, 1., 1.]), r'std .*got \[nan'),
    (dict(std=[INF, 1., 1.]), 'std'), (dict(std=0), 'std .*got 0'), (dict(std='1'), "std .*got '1'"),
    (dict(std=[None]), 'std'), (dict(std=[True, True, True]), 'std'), (dict(std=[]), 'std'),
    (dict(mean=[NAN, 0., 0.]), 'mean must be finite numbers'), (dict(mean=['0', 0, 0]), 'mean')], ids=repr)
def test_a_normalisation_that_cannot_be_is_refused(preprocessor, fault):
    with pytest.raises(ValueError, match=f'^where.{fault}'):
        check_preprocessor(preprocessor, 'where')


def test_other_normalisations_are_left_alone():
    for preprocessor in (None, {}, dict(mean=[0.], std=[255]), dict(mean=None, std=None), dict(mean=[-1, 2., 3])):
        check_preprocessor(preprocessor, 'where')


@pytest.mark.parametrize('key', ['data_preprocessor', 'model.architecture.data_preprocessor'])
def test_a_deviation_of_zero_is_refused_wherever_it_is_said(tiny_config, tmp_path, key):
    refused(tiny_config(**{key: dict(type='ClsDataPreprocessor', num_classes=10, mean=[0.] * 3, std=[1., 0., 1.])}),
            r'data_preprocessor.std must be positive finite numbers.*\[1.0, 0.0, 1.0\]', tmp_path / 'run')


# --- batches ---

@pytest.mark.parametrize('split', ['train', 'val', 'test'])
@pytest.mark.parametrize('size', [0, -1, 1.5, '16', None, True])
def test_a_batch_size_that_is_no_number_of_images_is_refused(tiny_config, tmp_path, split, size):
    refused(tiny_config(**{f'{split}_dataloader.batch_size': size}),
            f'{split}_dataloader.batch_size must be a positive integer, got {size!r}', tmp_path / 'run')


def test_a_batch_size_of_a_stage_is_looked_at_too(tiny_config, tmp_path):
    refused(tiny_config(student=dict(train_dataloader=dict(batch_size=0))),
            'student.train_dataloader.batch_size must be a positive integer, got 0', tmp_path / 'run')


def test_a_batch_larger_than_the_images_is_refused_where_it_would_be_dropped(tiny_config, tmp_path):
    refused(tiny_config(**{'train_dataloader.batch_size': 164}), 'batch_size=164 is more than the images there are for '
            'it, 163, and drop_last=True leaves nothing to train on; make batch_size smaller, or set drop_last=False',
            tmp_path / 'run')


class OfAStage:
    """What check_batches reads of a training stage."""

    def __init__(self, num, processes, **loader):
        self.name, self.processes = 'joint', processes
        self.images = type('Images', (), dict(num=num))
        self.loader = type('Loader', (), dict(settings=loader))


SHUFFLED = dict(type='DefaultSampler', shuffle=True)


@pytest.mark.parametrize('stage', [
    OfAStage(10, 1, batch_size=16, sampler=SHUFFLED), OfAStage(10, 2, batch_size=5, drop_last=True, sampler=SHUFFLED),
    OfAStage(9, 2, batch_size=5, drop_last=True, sampler=SHUFFLED),  # the sampler deals out one image twice
    OfAStage(9, 2, batch_size=5, sampler=dict(SHUFFLED, round_up=False)),  # 5 and 4 images: one batch each
    OfAStage(9, 1, batch_size=100, drop_last=True, sampler=dict(type='mmamd.StreamSampler', num_samples=100))])
def test_batches_that_there_are_pass(stage):
    check_batches(stage)


@pytest.mark.parametrize('stage, match', [
    (OfAStage(10, 2, batch_size=6, drop_last=True, sampler=SHUFFLED),
     'batch_size=6 on each of 2 processes is more than the images there are for it, 5'),
    (OfAStage(9, 2, batch_size=4, sampler=dict(SHUFFLED, round_up=False)),  # 5 and 4 images: two batches, and one
     'with round_up=False some of 2 processes have 1 batches of the 9 images and others 2')])
def test_batches_that_ranks_would_not_have_alike_are_refused(stage, match):
    with pytest.raises(ValueError, match=f"stage 'joint': .*{match}"):
        check_batches(stage)
