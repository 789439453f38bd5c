"""One loop: schedules in epochs, and in steps with epochs of so many."""

import json
from types import SimpleNamespace

import pytest
import torch

import mmamd
from mmamd.pipeline.stages.training import checkpoints_by_epoch, in_epochs

LOADER = dict(batch_size=16, sampler=dict(type='InfiniteSampler', shuffle=True), batch_sampler=None)


def test_a_schedule_in_epochs_is_left_as_it_is():
    assert in_epochs('joint', dict(by_epoch=True, max_epochs=3, val_interval=1), LOADER) == (dict(max_epochs=3), LOADER)


def test_steps_become_epochs_of_a_stream():
    train_cfg, loader = in_epochs('joint', dict(type='IterBasedTrainLoop', max_iters=60, epoch_iters=20), LOADER)
    assert train_cfg == dict(max_epochs=3)
    assert loader == dict(batch_size=16, sampler=dict(type='mmamd.StreamSampler', num_samples=320, shuffle=True))
    assert LOADER['sampler']['type'] == 'InfiniteSampler'


@pytest.mark.parametrize('train_cfg, message', [
    (dict(max_iters=50), "'joint' counts steps, so it needs epoch_iters that divide them.*got {'max_iters': 50}"),
    (dict(max_iters=50, epoch_iters=20), 'epoch_iters that divide them'),
    (dict(max_iters=40, epoch_iters=20, max_epochs=2), 'epoch_iters that divide them'),
    (dict(max_iters=40, epoch_iters=0), 'epoch_iters that divide them'),
    (dict(epochs=2), r"must be scheduled in epochs \(train_cfg=dict\(max_epochs=...\)\), or in steps"),
    (dict(), 'must be scheduled in epochs')])
def test_a_schedule_that_cannot_be_resumed_is_refused(train_cfg, message):
    with pytest.raises(ValueError, match=message):
        in_epochs('joint', train_cfg, LOADER)


# Ten steps an epoch of 163 images at batch 16; two epochs of seven steps end in the second pass.
STEPS = {'method.type': 'mmamd.KD', 'student.train_cfg': dict(_delete_=True, max_iters=14, epoch_iters=7),
         'default_hooks.checkpoint': dict(type='CheckpointHook', by_epoch=False, interval=7)}


@pytest.mark.slow
def test_a_run_in_steps_that_is_interrupted_ends_where_an_uninterrupted_one_does(tiny_config, tmp_path, monkeypatch):
    summary = mmamd.compress(tiny_config(**STEPS), work_dir=tmp_path / 'whole')
    whole = torch.load(tmp_path / 'whole' / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert sorted(path.name for path in (tmp_path / 'whole' / 'student').glob('epoch_*.pth')) == [
        'epoch_1.pth', 'epoch_2.pth']
    rows = [json.loads(line) for path in (tmp_path / 'whole' / 'student').glob('*/vis_data/scalars.json')
            for line in path.read_text().splitlines()]
    assert rows[-1]['step'] <= 14

    from mmamd.distillation import JointTrainLoop
    step, done = JointTrainLoop.step, []

    def fails_in_the_second_epoch(self, batch):
        done.append(None)
        if len(done) == 10:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(JointTrainLoop, 'step', fails_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        mmamd.compress(tiny_config(**STEPS), work_dir=tmp_path / 'broken')
    monkeypatch.setattr(JointTrainLoop, 'step', step)
    again = mmamd.compress(tiny_config(**STEPS), work_dir=tmp_path / 'broken')
    resumed = torch.load(tmp_path / 'broken' / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    # What was spent on whole epochs is counted once, so both runs report the same arithmetic.
    assert again['cost']['macs'] == summary['cost']['macs'] > 0


def test_checkpoints_between_the_ends_of_epochs_are_refused(tiny_config, tmp_path):
    config = tiny_config(**{**STEPS, 'default_hooks.checkpoint.interval': 5})
    with pytest.raises(ValueError, match=r"checkpoint.interval=5 steps is no multiple of an epoch of 'student' \(7"):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_checkpoints_by_steps_of_epochs_that_count_none_are_refused_with_a_batch_sampler_too():
    stage = SimpleNamespace(name='student', loader=SimpleNamespace(settings=dict(batch_sampler=dict(type='Any'))))
    with pytest.raises(ValueError, match=r"interval=5 steps is no multiple of an epoch of 'student' \(not counted in"):
        checkpoints_by_epoch(dict(checkpoint=dict(by_epoch=False, interval=5)), stage)


def test_checkpoints_counted_in_steps_become_epochs_from_their_beginning_on():
    stage = SimpleNamespace(name='student', loader=SimpleNamespace(
        settings=dict(batch_size=4, sampler=dict(num_samples=200))))
    hook = dict(type='CheckpointHook', by_epoch=False, interval=50, save_begin=100)
    assert checkpoints_by_epoch(dict(checkpoint=hook), stage) == dict(
        checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1, save_begin=2))
    with pytest.raises(ValueError, match=r"save_begin=120 steps is no multiple of an epoch of 'student' \(50 steps"):
        checkpoints_by_epoch(dict(checkpoint=dict(hook, save_begin=120)), stage)


@pytest.mark.slow
def test_the_arithmetic_that_was_spent_is_that_of_the_steps(tiny_config, tmp_path):
    summary = mmamd.compress(tiny_config(**STEPS), work_dir=tmp_path)
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    # 14 steps of 16 images, each the teacher's forward pass and three of the student's.
    assert summary['stages']['student']['macs'] == 14 * 16 * (teacher + 3 * student)
    assert summary['stages']['score']['macs'] == 64 * 3 * teacher
    # As planned, up to the student's scale, which is nominal in a plan.
    planned = json.loads((tmp_path / 'stages.json').read_text())['stages']['student']['planned_macs']
    assert planned == pytest.approx(14 * 16 * (teacher + 3 * 0.3 * teacher))
