"""Whatever a method lays, a run that is stopped anywhere and continued ends where an uninterrupted one does."""

import json

import numpy as np
import pytest
import torch
from random_methods import StopAfter

import mmamd

STEPS = 6  # of an epoch: 96 images in batches of 16


@pytest.fixture
def config(tiny_config):
    def make(number):
        hooks = [*tiny_config().custom_hooks, dict(type='StopAfter')]
        return tiny_config(custom_hooks=hooks, **{
            'method': dict(_delete_=True, type='mmamd.Drawn', number=number), 'visualizer': None,
            'joint.train_cfg.max_epochs': 2, 'student.train_cfg.max_epochs': 2,
            'train_dataloader.num_workers': 0, 'train_dataloader.dataset.dataset.indices': 118,
            'val_dataloader.dataset.dataset.indices': 118})
    yield make
    StopAfter.left = None


def weights_of(folder):
    return torch.load(folder / 'student' / 'student.pth', weights_only=True)['state_dict']


# The first one drawn has a joint stage, a choice on the way and several teachers.
@pytest.mark.parametrize('number', [1, *(pytest.param(i, marks=pytest.mark.slow) for i in (0, 2, 3, 4, 5))])
def test_it_runs_resumes_bit_for_bit_and_reports_its_cost(config, tmp_path, number):
    summary = mmamd.compress(config(number), work_dir=tmp_path / 'whole')
    stages = json.loads((tmp_path / 'whole' / 'stages.json').read_text())['stages']
    trainings = [name for name, entry in stages.items() if entry['kind'] == 'distil']
    # Stopped twice, at steps that are drawn, one within the second epoch of some stage.
    all_steps = STEPS * 2 * len(trainings)
    for after in sorted(np.random.default_rng(number).integers(1, all_steps, 2)):
        StopAfter.left = int(after)
        with pytest.raises(KeyboardInterrupt):
            mmamd.compress(config(number), work_dir=tmp_path / 'stopped')
            StopAfter.left = 0  # it had less to do than that, being continued: stop the next one at once
            raise KeyboardInterrupt
    StopAfter.left = None
    again = mmamd.compress(config(number), work_dir=tmp_path / 'stopped')
    whole, stopped = weights_of(tmp_path / 'whole'), weights_of(tmp_path / 'stopped')
    assert all(torch.equal(value, stopped[key]) for key, value in whole.items())
    for name in ('teacher', 'selections', 'recalibration_images'):
        assert again[name] == summary[name]
    assert again['student']['value'] == summary['student']['value']
    # Each training is counted once, at whole epochs, however often the run was stopped.
    assert again['cost']['macs'] == summary['cost']['macs'] > 0
    assert again['cost']['trainings'] == len(trainings)
    assert all(stage['macs'] > 0 for name, stage in again['stages'].items() if name != 'nest')
