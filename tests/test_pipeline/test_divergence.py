"""Training that diverges is stopped at the step that shows it, with its cause, and nothing of it is kept."""

import importlib.util
import json
import math
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS

import mmamd
from mmamd.pipeline.divergence import (
    EXIT_CODE,
    DivergenceHook,
    TrainingDiverged,
    divergence_settings,
    first_not_finite,
    gradient_norm,
)
from mmamd.pipeline.status import read_status

TOOLS = Path(__file__).parents[2] / 'tools'


# --- one step after the other ---

class Training:
    """A layer that a hook watches: epoch 2, from iteration 11 on."""

    def __init__(self, wrapper=OptimWrapper, fused=False, **settings):
        self.layer = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.1, fused=fused)
        self.runner = SimpleNamespace(model=self.layer, optim_wrapper=wrapper(optimizer), epoch=1, iter=10,
                                      work_dir='runs/joint', message_hub=SimpleNamespace(log_scalars={}))
        self.hook = DivergenceHook(**settings)
        self.hook.before_train(self.runner)

    def step(self, gradient=1., **losses):
        wrapper = self.runner.optim_wrapper
        wrapper.backward((self.layer.weight.sum() + self.layer.bias.sum()) * gradient)
        wrapper.step()
        wrapper.zero_grad()
        outputs = {name: torch.tensor(value) for name, value in losses.items()}
        self.hook.after_train_iter(self.runner, 0, outputs=outputs)
        self.runner.iter += 1


def test_finite_steps_are_let_pass():
    training = Training()
    for _ in range(3):
        training.step(**{'0.30.loss_ce': 2., 'loss': 2.})
    training.hook.after_train_epoch(training.runner)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named_with_candidate_term_epoch_and_iteration(value):
    training = Training()
    training.step(**{'0.30.loss_ce': 1.})
    with pytest.raises(TrainingDiverged, match=rf"^stage 'joint' diverged: the term feat.loss of candidate 0.30 is "
                                               rf'{value}, in epoch 2, iteration 12; the checkpoints of earlier epochs '
                                               r'are kept.*optimizer.lr.*clip_grad.*--start-from joint$'):
        training.step(**{'0.30.loss_ce': 1., '0.30.loss_feat.loss': value, 'loss': value})


def test_a_loss_without_a_candidate_is_the_loss():
    with pytest.raises(TrainingDiverged, match='the loss is nan'):
        Training().step(loss=math.nan)


def test_what_is_logged_beside_the_losses_may_be_anything():
    Training().step(**{'0.30.largest_logit': math.inf, 'lr': math.nan})


def test_a_gradient_that_is_not_finite_stops_though_the_loss_is():
    with pytest.raises(TrainingDiverged, match='the gradient norm is nan'):
        Training().step(gradient=math.nan, loss=1.)


def test_a_gradient_that_clipping_made_finite_stops_too():
    training = Training()
    training.runner.message_hub.log_scalars['train/grad_norm'] = HistoryBuffer([1., math.inf], [1, 1])
    with pytest.raises(TrainingDiverged, match='the gradient norm is inf before clipping'):
        training.step(loss=1.)


def test_the_norm_is_that_of_all_gradients_together():
    training = Training()
    training.layer.weight.grad, training.layer.bias.grad = torch.tensor([[2., 3.]]), torch.tensor([6.])
    assert gradient_norm(training.runner.optim_wrapper.optimizer) == 7  # 4 + 9 + 36 = 49
    training.layer.zero_grad()
    assert gradient_norm(training.runner.optim_wrapper.optimizer) is None


def test_weights_that_are_not_finite_stop_an_epoch_before_its_checkpoint():
    training = Training()
    training.layer.bias.data.fill_(math.nan)
    with pytest.raises(TrainingDiverged, match='the weight bias is not finite after the epoch'):
        training.hook.after_train_epoch(training.runner)


def test_statistics_of_batch_norms_count_as_weights():
    norm = torch.nn.BatchNorm1d(2)
    assert first_not_finite(norm) is None
    norm.running_var[1] = math.inf
    assert first_not_finite(norm) == 'running_var'


# --- several processes ---

def one_of_two(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    train_until_one_loss_is_nan(rank, folder)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def train_until_one_loss_is_nan(rank, folder):
    layer = torch.nn.Linear(2, 1)
    model = torch.nn.parallel.DistributedDataParallel(layer)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, epoch=0, iter=0, work_dir='runs/joint',
                             message_hub=SimpleNamespace(log_scalars={}))
    hook = DivergenceHook()
    hook.before_train(runner)
    try:
        for runner.iter in range(10):
            loss = model(torch.ones(1, 2)).sum() * (math.nan if (rank, runner.iter) == (1, 3) else 1.)
            wrapper.update_params(loss)
            hook.after_train_iter(runner, runner.iter, outputs={'loss': loss})
    except TrainingDiverged as error:
        (folder / f'rank_{rank}').write_text(str(error))


def test_a_loss_of_one_process_stops_all_of_them_at_the_same_step(tmp_path):
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)
    first, second = ((tmp_path / f'rank_{rank}').read_text() for rank in range(2))
    assert 'the gradient norm is nan, in epoch 1, iteration 4;' in first
    assert 'the loss is nan, in epoch 1, iteration 4;' in second


# --- with a loss scaler ---

class ScaledWrapper(OptimWrapper):
    """What the host's wrapper does on a GPU, by torch's scaler for the CPU."""

    def __init__(self, optimizer):
        super().__init__(optimizer)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=4.)

    def backward(self, loss):
        self.loss_scaler.scale(loss).backward()
        self._inner_count += 1

    def step(self):
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()


@pytest.mark.parametrize('fused', [False, True])
def test_steps_that_a_scaler_leaves_out_are_allowed_but_not_many_in_a_row(fused):
    training = Training(ScaledWrapper, fused, max_skipped_steps=3)
    for _ in range(3):  # two of them, then one that counts
        training.step(math.inf, loss=math.inf)
        training.step(math.nan, loss=math.nan)
        training.step(loss=1.)
    training.step(math.inf, loss=1.)
    training.step(math.inf, loss=1.)
    with pytest.raises(TrainingDiverged, match='the loss scaler has left out 3 steps in a row .*max_skipped_steps'):
        training.step(math.inf, loss=1.)


@pytest.mark.parametrize('fused', [False, True])
def test_a_loss_that_is_not_finite_in_a_step_that_counts_stops_under_a_scaler_too(fused):
    with pytest.raises(TrainingDiverged, match='the loss is nan'):
        Training(ScaledWrapper, fused).step(loss=math.nan)


def test_while_gradients_are_added_up_no_step_was_left_out():
    training = Training(ScaledWrapper, max_skipped_steps=1)
    training.runner.optim_wrapper._accumulative_counts = 2
    training.runner.optim_wrapper.backward(training.layer.weight.sum())
    training.hook.after_train_iter(training.runner, 0, outputs={'loss': torch.tensor(1.)})


# --- its settings ---

def test_every_stage_has_the_hook_and_its_bound_may_be_set():
    assert divergence_settings(None) == divergence_settings({}) == dict(type='mmamd.DivergenceHook')
    given = dict(divergence=dict(max_skipped_steps=9))
    assert divergence_settings(given) == dict(type='mmamd.DivergenceHook', max_skipped_steps=9)


@pytest.mark.parametrize('given, message', [
    (None, '=None: a stage that diverges is always stopped'), (dict(type='EMAHook'), 'always stopped'),
    (dict(max_skiped_steps=3), 'has no key .max_skiped_steps.*max_skipped_steps'),
    (dict(max_skipped_steps=0), 'must be a positive integer, got 0'), (dict(max_skipped_steps=True), 'got True'),
    (dict(max_skipped_steps=1.5), 'got 1.5')])
def test_other_settings_are_refused(given, message):
    with pytest.raises(ValueError, match=f'default_hooks.divergence.*{message}'):
        divergence_settings(dict(divergence=given))


# --- whole runs ---

@pytest.fixture
def far_too_fast():
    """A hook of a rate of 1e9 from the second epoch of the stage joint on, by its name in a config."""
    @HOOKS.register_module(name='FarTooFast')
    class FarTooFast(Hook):

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.epoch == 1:
                runner.optim_wrapper.param_groups[0]['lr'] = 1e9

    yield dict(type='FarTooFast')
    HOOKS.module_dict.pop('FarTooFast')


def test_a_stage_that_diverges_keeps_its_last_good_checkpoint_and_the_run_says_why(tiny_config, far_too_fast, tmp_path):
    config = tiny_config()
    config.custom_hooks.append(far_too_fast)
    with pytest.raises(TrainingDiverged, match=r"stage 'joint' diverged: the term ce of candidate 0.75 is (nan|inf)"
                                               ', in epoch 2, iteration 1[1-9]; the checkpoints'):
        mmamd.compress(config, work_dir=tmp_path)
    assert [path.name for path in tmp_path.glob('joint/*.pth')] == ['epoch_1.pth']
    weights = torch.load(tmp_path / 'joint' / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    status = read_status(tmp_path)
    assert status.state == 'failed' and status.error.startswith("TrainingDiverged: stage 'joint' diverged")
    assert not json.loads((tmp_path / 'stages.json').read_text())['stages']['joint']['finished']


def test_a_teacher_that_diverges_is_stopped_too(tiny_config, tmp_path):
    config = tiny_config(**{'model.teacher': None, 'teacher': dict(optim_wrapper=dict(optimizer=dict(lr=1e9)))})
    with pytest.raises(TrainingDiverged, match=r"stage 'teacher' diverged: the loss is (nan|inf), in epoch 1"):
        mmamd.compress(config, work_dir=tmp_path)
    assert not list(tmp_path.glob('teacher/*.pth'))


# --- how the tools end ---

def test_the_tool_ends_with_a_code_of_its_own_and_without_a_traceback(monkeypatch, capsys, tmp_path):
    spec = importlib.util.spec_from_file_location('train', TOOLS / 'train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)

    def diverge():
        raise TrainingDiverged("stage 'joint' diverged")

    monkeypatch.setattr(train, 'build_runner', lambda cfg: SimpleNamespace(train=diverge))
    config = tmp_path / 'config.py'
    config.write_text('')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config)])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == EXIT_CODE == 3
    assert capsys.readouterr().err == "train.py: stage 'joint' diverged\n"
