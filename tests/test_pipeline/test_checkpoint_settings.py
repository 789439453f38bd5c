"""Checkpoints from which a stage could not be continued, or delivered, are refused before anything runs."""

from types import SimpleNamespace

import pytest

import mmamd
from mmamd.pipeline.stages.checkpoint_settings import check_checkpoints


def check(epochs=10, budget=None, **checkpoint):
    stage = SimpleNamespace(name='joint', budget=budget, schedule={'train_cfg': {'max_epochs': epochs}})
    check_checkpoints(stage, dict(checkpoint=dict(type='CheckpointHook', **{'interval': 1, **checkpoint})))


@pytest.mark.parametrize('settings', [
    dict(), dict(interval=3), dict(interval=20), dict(max_keep_ckpts=2), dict(interval=5, save_last=False),
    dict(interval=3, save_begin=1, save_last=False), dict(save_last=False, budget=1e9)])
def test_what_saves_the_last_epoch_and_all_that_a_run_continues_by_is_taken(settings):
    check(**settings)


def test_without_the_key_the_hosts_own_hook_is_taken():
    for default_hooks in (None, {}, {'logger': dict(type='LoggerHook')}):
        check_checkpoints(SimpleNamespace(name='joint', schedule={'train_cfg': {'max_epochs': 10}}), default_hooks)


@pytest.mark.parametrize('settings, message', [
    (dict(out_dir='elsewhere'), r"checkpoint.out_dir='elsewhere' of the stage 'joint': .* expected None, or leave it"),
    (dict(filename_tmpl='e{}.pth'), r"checkpoint.filename_tmpl='e\{\}.pth' of the stage 'joint': .*epoch_N.pth"),
    (dict(save_optimizer=False), 'checkpoint.save_optimizer=False .*needs the state of the optimizer; expected True'),
    (dict(save_param_scheduler=False), 'checkpoint.save_param_scheduler=False .*the state of the schedule'),
    (dict(max_keep_ckpts=1), 'max_keep_ckpts=1 .*deletes the oldest checkpoint before .* expected 2 or more'),
    (dict(interval=0), 'checkpoint.interval=0 .*expected a number of epochs of at least 1, e.g. interval=1'),
    (dict(interval=-1), 'checkpoint.interval=-1 '), (dict(interval=True), 'checkpoint.interval=True '),
    (dict(interval=1.5), 'checkpoint.interval=1.5 '), (dict(interval='2'), "checkpoint.interval='2' "),
    (dict(interval=3, save_last=False), 'save_last=False .*every 3 epochs miss the last one of 10, whose weights'),
    (dict(interval=20, save_last=False), 'every 20 epochs miss the last one of 10'),
    (dict(interval=5, save_begin=1, save_last=False), 'every 5 epochs miss the last one of 10'),
    # A budget decides how many epochs there are, so every one of them may be the last.
    (dict(interval=5, save_last=False, budget=1e9), 'every 5 epochs miss the last one')])
def test_others_are_refused_with_value_and_fix(settings, message):
    with pytest.raises(ValueError, match=f'default_hooks.*{message}'):
        check(**settings)


@pytest.mark.parametrize('overrides, message', [
    ({'default_hooks.checkpoint': None}, "default_hooks.checkpoint=None of the stage 'joint': .*or leave the key out"),
    ({'default_hooks.checkpoint.out_dir': '/tmp'}, "checkpoint.out_dir='/tmp' of the stage 'joint'"),
    ({'student.default_hooks': dict(checkpoint=dict(interval=2, save_last=False))}, "of the stage 'student': every 2")])
def test_a_run_is_refused_before_it_writes_anything(tiny_config, overrides, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_of_a_trained_teacher_too(tiny_config, tmp_path):
    config = tiny_config(**{'model.teacher': None, 'teacher': dict(default_hooks=dict(checkpoint=None))})
    with pytest.raises(ValueError, match="default_hooks.checkpoint=None of the stage 'teacher'"):
        mmamd.compress(config, work_dir=tmp_path / 'run')
