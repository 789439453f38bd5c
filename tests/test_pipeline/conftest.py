"""A tiny run of the pipeline that the tests of this folder look at, change and break."""

import gc
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

import mmamd
from mmamd.datasets import Digits

HERE = Path(__file__).parent


@pytest.fixture(scope='session', autouse=True)
def quick_garbage_collection():
    """The host collects garbage with every data set; what the imports made need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope='session')
def digits():
    """images (N, 3, 8, 8) normalised as configs/_base_/datasets/digits.py does, labels (N,); first 100 of a split."""
    def read(split):
        samples = Digits(split=split, indices=100)
        images = torch.stack([torch.from_numpy(samples[i]['img']).permute(2, 0, 1).float() for i in range(100)])
        return (images - 77.8) / 95.9, torch.tensor([samples[i]['gt_label'] for i in range(100)])

    return read


@pytest.fixture(scope='session')
def teacher(tmp_path_factory, digits):
    """Checkpoint of the network of tiny_config.py, well above chance on the digits."""
    images, labels = digits('train')
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(Config.fromfile(HERE / 'tiny_config.py').model.architecture)
        network.init_weights()
        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    path = tmp_path_factory.mktemp('teacher') / 'teacher.pth'
    torch.save({'state_dict': network.state_dict()}, path)
    return path


@pytest.fixture
def tiny_config(teacher):
    """Function that reads tiny_config.py over a trained teacher, with overrides as nested or dotted keys."""
    return lambda **overrides: _read(teacher, overrides)


@pytest.fixture(scope='session')
def finished_run(teacher, tmp_path_factory):
    """(work_dir, summary) of one whole uninterrupted run. Look at it; run in a copy."""
    work_dir = tmp_path_factory.mktemp('finished') / 'run'
    return work_dir, mmamd.compress(_read(teacher, {}), work_dir=work_dir)


@pytest.fixture
def contents():
    """Function from a folder to {file: (time of its last change, size)}, to see that nothing was written.

    Without logs: the host's logger of the last stage lives on in this process.
    """
    return lambda folder: {path.relative_to(folder): (path.stat().st_mtime_ns, path.stat().st_size)
                           for path in sorted(folder.rglob('*')) if path.is_file() and path.suffix != '.log'}


def _read(teacher, overrides):
    config = Config.fromfile(HERE / 'tiny_config.py')
    config.merge_from_dict({'model.teacher': str(teacher), **overrides})
    return config
