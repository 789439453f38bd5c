"""Stages that deliver the average of their weights."""

import pytest
import torch

import mmamd
from mmamd.distillation import JointTrainLoop
from mmamd.weights.checkpoint import read_weights

AVERAGE = {'joint.average': dict(share=0.2), 'student.average': dict(share=0.1)}


def state(path):
    return torch.load(path, weights_only=True)['state_dict']


def last_checkpoint(work_dir, stage):
    return torch.load(work_dir / stage / 'epoch_3.pth', weights_only=False)


def differing(ours, theirs):
    assert ours.keys() == theirs.keys()
    return [key for key, value in ours.items() if not torch.equal(value, theirs[key])]


@pytest.fixture(scope='module')
def averaged_run(tiny_config, tmp_path_factory):
    """Work_dir of a run of the method whose two trainings deliver averages. Look at it."""
    work_dir = tmp_path_factory.mktemp('averaged') / 'run'
    mmamd.compress(tiny_config(**AVERAGE), work_dir=work_dir)
    return work_dir


def test_training_is_the_same_bit_for_bit_with_an_average_and_without(averaged_run, finished_run):
    # Of the joint stage: the student's teacher is cut from what that delivers.
    raw = last_checkpoint(averaged_run, 'joint')['ema_state_dict']
    without = last_checkpoint(finished_run[0], 'joint')['state_dict']
    assert differing({f'module.{key}': value for key, value in without.items()}, {
        key: value for key, value in raw.items() if key != 'steps'}) == []


def test_what_is_judged_cut_and_exported_is_the_average(averaged_run, finished_run):
    delivered = state(averaged_run / 'joint' / 'shared.pth')
    assert differing(delivered, read_weights(str(averaged_run / 'joint' / 'epoch_3.pth'))) == []
    assert differing(delivered, state(finished_run[0] / 'joint' / 'shared.pth'))
    # The head is not cut, so it is exported as it was averaged.
    average, raw = (last_checkpoint(averaged_run, 'student')[key] for key in ('state_dict', 'ema_state_dict'))
    exported = state(averaged_run / 'student' / 'student.pth')['head.fc.weight']
    assert torch.equal(exported, average['network.head.fc.weight'])
    assert not torch.equal(exported, raw['module.network.head.fc.weight'])


@pytest.mark.slow
def test_a_run_interrupted_in_both_stages_ends_where_an_uninterrupted_one_does(averaged_run, tiny_config, tmp_path,
                                                                               monkeypatch):
    step, done = JointTrainLoop.step, []

    def fails_in_both_second_epochs(self, batch):
        done.append(None)
        if len(done) in (15, 15 + 5 + 30):  # ten steps an epoch: of the joint stage, and of the student's
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(JointTrainLoop, 'step', fails_in_both_second_epochs)
    for stage in ('joint', 'student'):
        with pytest.raises(KeyboardInterrupt):
            mmamd.compress(tiny_config(**AVERAGE), work_dir=tmp_path)
        assert (tmp_path / stage / 'epoch_1.pth').exists() and not (tmp_path / stage / 'epoch_2.pth').exists()
    mmamd.compress(tiny_config(**AVERAGE), work_dir=tmp_path)
    for file in ('joint/shared.pth', 'student/trained.pth', 'student/student.pth'):
        assert differing(state(tmp_path / file), state(averaged_run / file)) == []


@pytest.mark.parametrize('overrides, message', [
    ({'student.average': dict(share=0.7)}, r'student.average: share must lie in \(0, 0.5\], got 0.7; it is the mean'),
    ({'joint.average': dict(momentum=0.1)}, r"joint.average must be dict\(share=...\).*got {'momentum': 0.1}"),
    ({'joint.average': dict()}, r'joint.average must be dict\(share=...\) or None, got {}; e.g.'),
    ({'student.average': True}, r'student.average must be dict\(share=...\).*got True'),
    ({'pretrain': dict(train_cfg=dict(max_epochs=1), trains='losses', average=dict(share=0.1), losses=dict(
        fitnet=dict(type='mmamd.FitNetLoss')))},
     "pretrain.average={'share': 0.1} averages the network, which pretrain.trains='losses' freezes"),
    ({'teacher': dict(average=dict(share=0.1))}, "teacher has no key 'average'")])
def test_an_average_that_cannot_be_is_refused_before_anything_is_written(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
