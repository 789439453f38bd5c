"""bfloat16 on a CPU, and steps that a loss scaler leaves out."""

import pytest
import torch
from joint_step_toys import gradients_at_each_step, joint_loop
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from mmamd.distillation import mixed_precision
from mmamd.distillation.mixed_precision import CpuAmpOptimWrapper, on_this_machine

AMP = dict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD', lr=0.1))


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'get_device', lambda: 'cpu')


def test_amp_on_a_cpu_is_bfloat16_autocast_without_a_scaler(without_gpu):
    settings = on_this_machine(AMP)
    assert settings == dict(type='mmamd.CpuAmpOptimWrapper', optimizer=AMP['optimizer'])
    layer = torch.nn.Linear(2, 2)
    wrapper = OPTIM_WRAPPERS.build({**settings, 'optimizer': torch.optim.SGD(layer.parameters(), lr=0.1)})
    with wrapper.optim_context(layer):
        out = layer(torch.ones(1, 2))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.sum())
    assert layer.weight.dtype == torch.float32
    assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_on_a_gpu_the_hosts_wrapper_stays(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'get_device', lambda: 'cuda')
    assert on_this_machine(AMP) is AMP


def test_without_amp_nothing_changes(without_gpu):
    settings = dict(optimizer=dict(type='SGD', lr=0.1))
    assert on_this_machine(settings) is settings


def test_float16_on_a_cpu_is_refused(without_gpu):
    with pytest.raises(ValueError, match=r"dtype='float16' needs a GPU.*'bfloat16', or run without --amp"):
        on_this_machine({**AMP, 'dtype': 'float16'})


def test_a_joint_step_in_bfloat16_has_the_gradients_of_one_in_float32(make_distiller, batch):
    # Candidates without heads or neurons in a block among them. bfloat16 keeps 8 bits: a relative error of 2^-9 an
    # operation, so direction and length of the whole gradient are compared.
    found = []
    for wrapper in (OptimWrapper, CpuAmpOptimWrapper):
        loop = joint_loop(make_distiller())
        loop.runner.optim_wrapper = wrapper(loop.runner.optim_wrapper.optimizer)
        stepped = gradients_at_each_step(loop)
        logged = loop.step(batch)
        assert all(torch.isfinite(value) for value in logged.values())
        assert 'skipped_steps' not in logged
        found.append(torch.cat([gradient.flatten() for gradient in stepped[0].values()]))
    assert torch.cosine_similarity(*found, dim=0) > 0.999
    assert found[1].norm() == pytest.approx(found[0].norm().item(), rel=0.02)
    assert not torch.equal(*found)


class ScaledWrapper(OptimWrapper):
    """What the host's wrapper does on a GPU, by torch's scaler for the CPU."""

    def __init__(self, optimizer, **scaler):
        super().__init__(optimizer)
        self.loss_scaler = torch.amp.GradScaler('cpu', **scaler)

    def backward(self, loss):
        self.loss_scaler.scale(loss).backward()

    def step(self):
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()


@pytest.mark.parametrize('fused', [False, True])
def test_a_step_with_an_overflowing_gradient_is_left_out_and_counted(make_distiller, batch, fused):
    # A scale of 2^127 overflows float32, one of 2 does not.
    distiller = make_distiller()
    loop = joint_loop(distiller, fused=fused)
    loop.runner.optim_wrapper = ScaledWrapper(loop.runner.optim_wrapper.optimizer, init_scale=2.**127,
                                              backoff_factor=2.**-126)
    before = [parameter.detach().clone() for parameter in distiller.parameters()]
    assert loop.step(batch)['skipped_steps'] == 1
    assert all(map(torch.equal, before, distiller.parameters()))
    assert loop.step(batch)['skipped_steps'] == 1
    assert not all(map(torch.equal, before, distiller.parameters()))
