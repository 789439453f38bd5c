"""The joint loop inside MMEngine's own Runner."""

import pytest
import torch
from joint_step_toys import RawImages
from mmengine.runner import Runner

from mmamd.distillation import SandwichSparsityHook, sample_candidates

NUM_EPOCHS, NUM_BATCHES = 2, 2


@pytest.fixture
def make_runner(make_distiller, network_settings, tmp_path):
    """Function (optimizer settings, **sampler's) -> runner of two epochs of two batches, with drop path and mixup."""

    def make(optimizer, **sampler):
        backbone = dict(network_settings['backbone'], drop_path_rate=0.2)
        distiller = make_distiller(architecture=dict(network_settings, backbone=backbone, train_cfg=dict(
            augments=[dict(type='Mixup', alpha=1.)])))
        loader = torch.utils.data.DataLoader(RawImages(), batch_size=2, collate_fn=collate)
        return Runner(
            model=distiller, work_dir=str(tmp_path), train_dataloader=loader, default_scope='mmpretrain',
            train_cfg=dict(type='mmamd.JointTrainLoop', max_epochs=NUM_EPOCHS), randomness=dict(seed=3),
            optim_wrapper=dict(optimizer=optimizer), custom_hooks=[dict(type='mmamd.SandwichSparsityHook', **sampler)],
            experiment_name=tmp_path.name, log_level='WARNING')

    return make


def collate(items):
    return {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}


def copied(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def same(state, before):
    return all(torch.equal(value, before[key]) for key, value in state.items())


def test_training_at_learning_rate_zero_changes_no_tensor_of_teacher_or_student(make_runner):
    runner = make_runner(dict(type='AdamW', lr=0., weight_decay=0.))
    distiller = runner.model
    before, teacher = copied(distiller), copied(distiller.teacher)
    runner.train()
    assert runner.iter == NUM_EPOCHS * NUM_BATCHES
    assert same(distiller.state_dict(), before)
    assert same(distiller.teacher.state_dict(), teacher)


def test_training_changes_the_student_and_saves_it_alone(make_runner, tmp_path):
    runner = make_runner(dict(type='AdamW', lr=1e-2, weight_decay=0.))
    distiller = runner.model
    before, teacher = copied(distiller), copied(distiller.teacher)
    runner.train()
    assert all(not torch.equal(value, before[key]) for key, value in distiller.state_dict().items())
    assert same(distiller.teacher.state_dict(), teacher)
    assert not any(module.training for module in distiller.teacher.modules())
    saved = torch.load(tmp_path / f'epoch_{NUM_EPOCHS}.pth', weights_only=False)
    assert list(saved['state_dict']) == [f'network.{key}' for key in distiller.network.state_dict()]
    assert len(saved['optimizer']['state']) == len(list(distiller.network.parameters()))


@pytest.mark.parametrize('sampler', [dict(sampler='all'), dict(sampler='sandwich', num_random=0),
                                     dict(sampler='random', num_random=2), {}],
                         ids=lambda sampler: sampler.get('sampler', 'default'))
def test_each_batch_costs_one_optimizer_step_one_preprocessor_pass_and_one_teacher_pass(make_runner, sampler):
    runner = make_runner(dict(type='SGD', lr=1e-3), **sampler)
    distiller, events = runner.model, []
    distiller.data_preprocessor.register_forward_hook(lambda *_: events.append('preprocessor'))
    distiller.teacher.register_forward_hook(lambda *_: events.append('teacher'))
    distiller.network.register_forward_hook(lambda *_: events.append(distiller.active.key))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_post_hook(lambda *_: events.append('step'))
    runner.train()
    arguments = {'sampler': 'smallest_random', 'num_random': 1, **sampler}
    expected = []
    for iteration in range(NUM_EPOCHS * NUM_BATCHES):
        candidates = sample_candidates(distiller.candidates, seed=3, iteration=iteration, **arguments)
        expected += ['preprocessor', 'teacher', *(candidate.key for candidate in reversed(candidates)), 'step']
    assert events == expected


def trained_candidates(runner):
    """Keys of the candidates of each step, largest first, filled as the runner trains."""
    steps = []
    runner.model.teacher.register_forward_hook(lambda *_: steps.append([]))
    runner.model.network.register_forward_hook(lambda *_: steps[-1].append(runner.model.active.key))
    return steps


def test_after_a_halving_the_better_half_is_trained_also_when_the_run_is_resumed(make_runner, tmp_path):
    runner = make_runner(dict(type='SGD', lr=0.), sampler='all', halve_after=[1])
    steps = trained_candidates(runner)
    runner.train()
    assert steps[:NUM_BATCHES] == [['0.80', '0.50', '0.10']] * NUM_BATCHES
    # At rate 0 the losses are those of the checkpoint: what is logged of the first epoch says who stays.
    scalars = runner.message_hub.log_scalars
    loss = {key: scalars[f'train/{key}.loss_logit'].data[0][:NUM_BATCHES].mean() for key in ('0.50', '0.80')}
    better = '0.50' if loss['0.50'] / 0.5 <= loss['0.80'] / (1 - 0.8) else '0.80'
    assert steps[NUM_BATCHES:] == [[better, '0.10']] * NUM_BATCHES

    resumed = make_runner(dict(type='SGD', lr=0.), sampler='all', halve_after=[1])
    resumed._load_from, resumed._resume = str(tmp_path / 'epoch_1.pth'), True
    again = trained_candidates(resumed)
    resumed.train()
    assert again == steps[NUM_BATCHES:]


def test_halving_without_a_logit_loss_is_refused(make_runner):
    runner = make_runner(dict(type='SGD', lr=0.), sampler='all', halve_after=[1])
    del runner.model.terms['logit']
    with pytest.raises(ValueError, match=r'halve_after=\[1\] judges candidates by their logit loss.*logit.weight'):
        runner.train()


def test_a_step_that_overflowed_has_no_part_in_a_halving(make_runner):
    runner = make_runner(dict(type='SGD', lr=0.), sampler='all', halve_after=[1])
    judged = []
    original = SandwichSparsityHook._mean_losses
    hook = next(hook for hook in runner.hooks if isinstance(hook, SandwichSparsityHook))
    hook._mean_losses = lambda runner: judged.append(original(hook, runner)) or judged[-1]
    step = runner.model.parse_losses
    calls = []

    def overflow_once(losses):
        calls.append(losses)
        loss, values = step(losses)
        if len(calls) == 1:  # the first step's largest candidate
            values['0.80.loss_logit'] = torch.tensor(float('nan'))
        if len(calls) <= 6 and '0.50.loss_logit' in values:
            values['0.50.loss_logit'] = torch.tensor(float('inf'))
        return loss, values

    runner.model.parse_losses = overflow_once
    runner.train()
    student, half, largest = judged[0]
    assert half is None, 'never finite'
    assert largest == pytest.approx(calls[3]['0.80.loss_logit'].item()), 'the second step alone'
