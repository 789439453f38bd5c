"""The README is true to the code: its paths exist, its config works, its tables say all that there is."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmamd
import mmamd.methods  # registers them
from mmamd.distillation.losses import Loss
from mmamd.registry import METHODS, MODELS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
OWN_CONFIG = re.search(r'<!-- own-config -->\n```python\n(.*?)```', README, re.DOTALL).group(1)

# The recipe of the README at a size that a test can train; what the README shows is left as it is.
TINY = {
    'model.architecture.backbone.arch': dict(
        _delete_=True, embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64),
    'model.architecture.backbone.patch_size': 56,
    'model.architecture.head.in_channels': 32,
    'compression.student_scale': 0.3,
    'compression.scale_by': 'units',  # at this size the patch embedding is nearly all of the MACs
    'compression.num_candidates': 3,
    'compression.budget': None,  # of a network of this size scoring alone costs more
    'teacher_cache.views': 1,
    'compression.importance.check_teacher': False,  # of random weights, on noise
    'joint.train_cfg.max_epochs': 1,
    'student.train_cfg.max_epochs': 1,
    'joint.param_scheduler': [],
    'student.param_scheduler': [],
    'train_dataloader.batch_size': 32,
    'train_dataloader.num_workers': 0,
    'val_dataloader.num_workers': 0,
    'test_dataloader.num_workers': 0,
}


@pytest.mark.parametrize('path', sorted(set(re.findall(
    r'\b((?:mmamd|configs|tools|tests|benchmarks|results)/[\w./-]*\w)', README))))
def test_every_path_in_the_readme_exists(path):
    assert (ROOT / path).exists()


def test_the_config_of_ones_own_has_at_most_15_lines():
    assert len(OWN_CONFIG.strip().splitlines()) <= 15


def test_the_config_of_ones_own_compresses_a_folder_of_images(tmp_path, monkeypatch):
    config = tmp_path / 'my_config.py'
    config.write_text(OWN_CONFIG)
    rng = np.random.default_rng(0)
    for split, count in (('train', 10), ('test', 1)):
        for name in (f'flower_{i:02d}' for i in range(17)):
            folder = tmp_path / 'data' / 'flowers' / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.integers(0, 255, (240, 280, 3), dtype=np.uint8)).save(folder / f'{i}.jpg')
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(TINY)
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    teacher = MODELS.build(cfg.model.architecture)
    torch.save({'state_dict': teacher.state_dict()}, 'my_teacher.pth')

    summary = mmamd.compress(cfg, work_dir='work_dirs/flowers')

    assert summary['student']['params'] < summary['teacher']['params']
    student = mmamd.load_student('work_dirs/flowers')
    assert sum(p.numel() for p in student.parameters()) == summary['student']['params']


def rows(heading):
    """Name -> options, of the table below a heading: the first cell of a row is a name, the last but one options."""
    table = README.split(f'| `{heading}` |', 1)[1].split('\n\n', 1)[0]
    cells = [line.strip('| ').split(' | ') for line in table.splitlines()[2:]]
    return {row[0].strip('`'): set(re.findall(r'`(\w+)`', row[-2])) for row in cells}


def options_of(cls):
    return set(inspect.signature(cls.__init__).parameters) - {'self', 'weight'}


def registered(registry, base=object):
    """Those of the package itself; other tests register toys."""
    return {f'mmamd.{name}': options_of(cls) for name, cls in registry.module_dict.items()
            if isinstance(cls, type) and issubclass(cls, base) and cls.__module__.startswith('mmamd.')}


def test_every_term_of_the_loss_has_a_row_with_its_options():
    assert rows('type') == registered(MODELS, Loss)


def test_every_method_has_a_row_with_its_options():
    assert rows('method.type') == registered(METHODS)


@pytest.mark.parametrize('key', re.findall(r'^\| `compression\.(\w+)`', README, re.MULTILINE))
def test_every_compression_key_of_the_readme_is_a_setting(key):
    from mmamd.pipeline.config.compression import Compression
    assert key in Compression.__dataclass_fields__
