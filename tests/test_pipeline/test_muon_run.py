"""A stage that trains by Muon, as a config asks for it."""

import pytest
import torch

import mmamd
from mmamd.distillation import JointTrainLoop, Muon, mixed_precision

MUON = {'method.type': 'mmamd.KD', 'student.optim_wrapper': dict(optimizer=dict(type='mmamd.Muon')),
        'student.train_cfg.max_epochs': 2}


@pytest.mark.parametrize('amp', [False, True], ids=['float32', 'bfloat16'])
def test_a_run_that_is_interrupted_ends_where_an_uninterrupted_one_does(tiny_config, tmp_path, monkeypatch, amp):
    monkeypatch.setattr(mixed_precision, 'get_device', lambda: 'cpu')
    step, done, optimizers = JointTrainLoop.step, [], []

    def fails_once_in_a_second_epoch(self, batch):
        done.append(None)
        optimizers.append(self.runner.optim_wrapper.optimizer)
        if len(done) == 20 + 15:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(JointTrainLoop, 'step', fails_once_in_a_second_epoch)
    config = tiny_config(**MUON)
    if amp:
        config.optim_wrapper.type = 'AmpOptimWrapper'
    mmamd.compress(config, work_dir=tmp_path / 'whole')
    assert len(done) == 20 and isinstance(optimizers[0], Muon)
    # The rate of the top level's AdamW, and its weight decay.
    assert {(group['initial_lr'], group['weight_decay']) for group in optimizers[0].param_groups} == {(2e-3, 0.05)}
    with pytest.raises(KeyboardInterrupt):
        mmamd.compress(config, work_dir=tmp_path / 'broken')
    mmamd.compress(config, work_dir=tmp_path / 'broken')
    whole, resumed = (torch.load(tmp_path / name / 'student' / 'student.pth', weights_only=True)['state_dict']
                      for name in ('whole', 'broken'))
    assert whole.keys() == resumed.keys()
    assert [key for key, value in whole.items() if not torch.equal(value, resumed[key])] == []


@pytest.mark.parametrize('overrides, message', [
    ({'student.optim_wrapper.optimizer.momentm': 0.9},
     "student: optim_wrapper.optimizer has no key 'momentm'. Did you mean momentum"),
    ({'student.optim_wrapper.optimizer.momentum': 1.5},
     r'student: optim_wrapper.optimizer: momentum must lie in \[0, 1\), got 1.5'),
    ({'student.optim_wrapper.optimizer.lr': -1.}, 'student: optim_wrapper.optimizer: Invalid learning rate: -1.0'),
    ({'student.optim_wrapper.constructor': 'DefaultOptimWrapperConstructor'},
     "constructor='DefaultOptimWrapperConstructor' does not tell mmamd.Muon which weights are matrices; leave it out")])
def test_what_muon_cannot_train_is_refused_before_anything_is_written(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**MUON, **overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
