"""Which processes a run is started as."""

import pytest
import torch

from mmamd import compat


def test_slurm_is_started_by_the_host_where_there_are_gpus(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr('mmengine.dist.init_dist', lambda launcher, **kwargs: calls.append((launcher, kwargs)))
    compat.init_distributed('slurm', dict(backend='nccl', port=29555))
    compat.init_distributed('slurm', None)
    compat.init_distributed('slurm', dict(timeout=60))
    hours = dict(backend='nccl', timeout=7200)
    assert calls == [('slurm', dict(hours, port=29555)), ('slurm', hours), ('slurm', dict(hours, timeout=60))]


def test_slurm_without_a_gpu_names_what_works_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match="without a GPU only launcher='pytorch' .* got 'slurm'.*dist_train.sh"):
        compat.init_distributed('slurm', None)
