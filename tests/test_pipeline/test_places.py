"""Runs with a term that knows images by their places in the training set."""

import pytest
import torch

import mmamd

PIPELINE = 'train_dataloader.dataset.dataset.pipeline'
CRD = dict(type='mmamd.CRDLoss', negatives=162)  # of 163 images all others


@pytest.fixture
def config(tiny_config):
    """Function: the tiny config of plain distillation with such a term, and overrides."""
    return lambda **overrides: tiny_config(**{
        'method.type': 'mmamd.KD', 'model.losses.crd': dict(CRD), 'train_dataloader.num_workers': 0,
        'student.train_cfg.max_epochs': 2, **overrides})


@pytest.mark.parametrize('overrides, message', [
    ({PIPELINE: [dict(type='PackInputs', meta_keys=())]},
     'image 0 .*sample_idx=None, expected 0.*name it in meta_keys'),
    ({'model.losses.crd': dict(CRD, negatives=163)},
     'losses.crd: negatives must be less than the number of training images, 163, got 163; set negatives=162 or fewer'),
    ({'method.type': 'mmamd.AMD'}, 'a CRDLoss cannot train several candidates .*joint.losses.crd.weight=0'),
], ids=str)
def test_it_is_refused_before_anything_is_written(config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_images_that_are_numbered_twice_are_refused_before_anything_is_written(config, tmp_path):
    cfg = config()
    part = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, part])
    with pytest.raises(ValueError, match='image 325 of the training set has sample_idx=162, expected 325.*numbers its'):
        mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_run_mixes_images_and_remembers_each_and_its_student_has_no_bank(config, tmp_path):
    mmamd.compress(config(), work_dir=tmp_path / 'run')
    state = torch.load(tmp_path / 'run' / 'student' / 'terms.pth')['crd']
    assert state['iteration'] == 20  # two epochs of ten steps
    assert state['contrasts.0.student_bank'].shape == (163, 128)
    exported = torch.load(tmp_path / 'run' / 'student' / 'student.pth')
    assert not [key for key in exported['state_dict'] if 'bank' in key]
