"""The average of the weights of a stage: its value, what it copies, and what a checkpoint holds."""

import pytest
import torch
from joint_step_toys import RawImages, joint_loop, raw_batch
from mmengine.runner import Runner
from test_training_run import collate

from mmamd.distillation.averaging import AveragedNetwork, averaging_hook, weight_of_the_newest
from mmamd.weights.checkpoint import read_weights


def average_of(values, share):
    average = values[0]
    for step, value in enumerate(values):
        average += weight_of_the_newest(step, share) * (value - average)
    return average


def test_value_by_hand():
    # share 1/4: g = 3, weights of the newest 1, 3/4, 3/5. Of 0, 4, 8: 0; 0 + 3/4 * 4 = 3; 3 + 3/5 * 5 = 6.
    assert average_of([0., 4., 8.], 0.25) == pytest.approx(6)
    # share 1/2: g = 1, the plain mean.
    assert average_of([0., 4., 8.], 0.5) == pytest.approx(4)


@pytest.mark.parametrize('share', [0.02, 0.1, 0.5])
def test_mean_age_of_what_is_averaged_is_the_share_of_the_steps(share):
    n = 2000
    assert (n - average_of(list(range(1, n + 1)), share)) / n == pytest.approx(share, abs=2e-3)


def test_the_average_of_a_network_is_that_of_every_parameter(make_distiller):
    distiller = make_distiller()
    averaged = AveragedNetwork(distiller, share=0.25)
    weight = distiller.network.head.fc.weight
    loop, passed = joint_loop(distiller, lr=0.05), []
    for _ in range(3):
        loop.step(raw_batch())
        averaged.update_parameters(distiller)
        passed.append(weight.detach().clone())
    torch.testing.assert_close(averaged.module['network'].head.fc.weight, average_of(passed, 0.25))
    assert not torch.equal(passed[-1], passed[0])


def test_neither_teachers_nor_terms_are_copied(make_distiller):
    distiller = make_distiller()
    averaged = AveragedNetwork(distiller, share=0.1)
    assert 'teachers' not in averaged.__dict__
    own = {f'module.network.{name}' for name in distiller.network.state_dict()}
    assert averaged.state_dict().keys() == own | {'steps'}
    assert not any(p.requires_grad for p in averaged.parameters())


def test_running_statistics_are_those_of_the_raw_weights(make_distiller):
    distiller = make_distiller()
    distiller.network.neck = torch.nn.BatchNorm1d(8)
    averaged = AveragedNetwork(distiller, share=0.1)
    for value in (1., 2.):
        distiller.network.neck.running_mean.fill_(value)
        averaged.update_parameters(distiller)
    assert averaged.module['network'].neck.running_mean.unique() == 2


@pytest.mark.parametrize('share', [0, -0.1, 0.6, 1, True, '0.1', float('nan')])
def test_a_share_outside_of_0_to_a_half_is_refused(share):
    with pytest.raises(ValueError, match=r'share must lie in \(0, 0.5\], got'):
        averaging_hook(share)


# --- in the host's runner ---

@pytest.fixture
def train(make_distiller, tmp_path):
    """Function (folder, learning rate, share or None) -> the last checkpoint of two epochs of two steps."""
    def run(name, lr=1e-2, share=None, resume=None):
        runner = Runner(
            model=make_distiller(), work_dir=str(tmp_path / name), default_scope='mmpretrain', log_level='WARNING',
            train_dataloader=torch.utils.data.DataLoader(RawImages(), batch_size=2, collate_fn=collate),
            train_cfg=dict(type='mmamd.JointTrainLoop', max_epochs=2), randomness=dict(seed=3),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=lr)), experiment_name=f'{tmp_path.name}_{name}',
            load_from=resume, resume=resume is not None)
        if share is not None:
            runner.register_hook(averaging_hook(share))
        runner.train()
        return torch.load(tmp_path / name / 'epoch_2.pth', weights_only=False)
    return run


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


def raw(checkpoint):
    state = checkpoint['ema_state_dict']
    return {key[len('module.'):]: value for key, value in state.items() if key != 'steps'}


def test_a_checkpoint_delivers_the_average_and_keeps_the_weights_that_training_goes_on_from(train, tmp_path):
    with_average, without = train('average', share=0.1), train('plain')
    assert same(raw(with_average), without['state_dict']), 'training itself is the same, bit for bit'
    delivered = read_weights(str(tmp_path / 'average' / 'epoch_2.pth'))
    assert same({f'network.{key}': value for key, value in delivered.items()}, with_average['state_dict'])
    assert not any(torch.equal(value, without['state_dict'][key]) for key, value in with_average['state_dict'].items())


def test_the_average_of_weights_that_do_not_move_is_where_they_are(train, make_distiller):
    assert same(train('still', lr=0., share=0.1)['state_dict'], make_distiller().state_dict())


def test_a_resumed_average_is_that_of_an_uninterrupted_run(train, tmp_path):
    whole = train('whole', share=0.1)
    resumed = train('resumed', share=0.1, resume=str(tmp_path / 'whole' / 'epoch_1.pth'))
    assert same(resumed['state_dict'], whole['state_dict'])
    assert same(resumed['ema_state_dict'], whole['ema_state_dict'])
