"""Every shipped config can be found by its name, loads, builds its network, and steps once where it is made small."""

import gc
import pickle
from collections import Counter
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.datasets import CIFAR100
from mmpretrain.registry import MODELS

import mmamd
from mmamd.pipeline.settings import fill_data_root, leaf_datasets

CONFIGS = Path(__file__).parent.parent / 'configs'
SHIPPED = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)


def test_three_networks_each_have_a_compression_a_baseline_and_a_teacher():
    names = {f'{folder}/{path.stem}' for folder in ('amd', 'kd', 'teacher') for path in (CONFIGS / folder).glob('*.py')}
    networks = ('vit-b_cifar100', 'vit-micro_cifar100', 'vit-tiny_digits')
    assert names == {name for network in networks
                     for name in (f'amd/{network}', f'kd/kd_{network}', f'teacher/teacher_{network}')}
    assert len(SHIPPED) == 9


def test_base_names_are_unique_because_mim_and_the_default_work_dir_know_no_folder():
    repeated = [name for name, count in Counter(path.stem for path in SHIPPED).items() if count > 1]
    assert not repeated


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_config_loads_and_judges_candidates_on_held_out_training_images(path):
    cfg = Config.fromfile(path)
    # Three data sets, no two of them the same images: (split or annotation file, part of the hold-out).
    images = [_images(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val', 'test')]
    assert len(set(images)) == 3, images
    assert images[1] in {('train', 'held_out'), ('meta/select.txt', None)}
    assert not any(cfg[f'{part}_dataloader'].persistent_workers for part in ('train', 'val', 'test'))


@pytest.mark.parametrize('path', sorted((CONFIGS / 'kd').glob('*.py')), ids=lambda path: path.stem)
def test_baseline_differs_from_its_compression_in_the_number_of_assistants_alone(path):
    baseline = Config.fromfile(path).to_dict()
    compression = Config.fromfile(CONFIGS / 'amd' / f'{path.stem.removeprefix("kd_")}.py').to_dict()
    assert baseline['compression'].pop('num_assistants') == 0
    assert compression['compression'].pop('num_assistants') == 1
    assert baseline == compression


@pytest.mark.parametrize('path', sorted((CONFIGS / 'teacher').glob('*.py')), ids=lambda path: path.stem)
def test_teacher_is_the_network_that_its_compression_distils(path):
    compression = Config.fromfile(CONFIGS / 'amd' / f'{path.stem.removeprefix("teacher_")}.py')
    teacher = {key: value for key, value in Config.fromfile(path).model.items() if key != 'train_cfg'}
    assert teacher == compression.model.architecture.to_dict()
    trained_to = f'work_dirs/{path.stem}/teacher.pth'
    if compression.get('teacher_config'):
        assert Path(compression.teacher_config).resolve() == path.resolve()
    elif compression.model.teacher.startswith('work_dirs/'):
        assert compression.model.teacher == trained_to


def _images(dataset: dict) -> tuple[str, str | None]:
    source = dataset.get('dataset', dataset)
    return source.get('split') or source.ann_file, dataset.get('part')


# --- the networks, at full size ---

# By hand for ViT-B/16: 86,567,656 parameters with 1,000 classes, less 900 rows of 768 weights and a bias.
PARAMETERS = {'vit-b_cifar100': 86_567_656 - 900 * 769, 'vit-micro_cifar100': 1_614_308}


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_config_builds_its_network_at_full_size(path):
    cfg = Config.fromfile(path)
    model = cfg.model.get('architecture', cfg.model)
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):  # shapes without memory
        network = MODELS.build(model)
    name = path.stem.removeprefix('kd_').removeprefix('teacher_')
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PARAMETERS.get(name, count)
    if 'digits' in name:
        # At least 48 heads, so that a tenth of the MACs still leaves some to choose from.
        assert sum(group.count for group in network.backbone.unit_groups() if group.kind == 'head') >= 48


# --- one step of each, made small ---

# 6 blocks of 6 heads: deep enough for nine candidates, the fixed part below a tenth of the MACs at 4 x 4 patches.
SMALL_VIT = dict(embed_dims=48, num_layers=6, num_heads=6, feedforward_channels=192)


@pytest.fixture(scope='module', autouse=True)
def quick_garbage_collection():
    """The host collects garbage with every data set; what the imports made need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope='session')
def cifar100(tmp_path_factory):
    """A stand-in for CIFAR-100 of two classes, as PNG folders and as the original pickles."""
    root = tmp_path_factory.mktemp('cifar100')
    images_NHWC = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels = [i % 2 for i in range(40)]
    lists = {'train': range(32), 'select': range(32, 36), 'test': range(36, 40)}
    for name, numbers in lists.items():
        lines = [f'c{labels[i]}/{i}.png {labels[i]}' for i in numbers]
        for i, line in zip(numbers, lines, strict=True):
            mmcv.imwrite(images_NHWC[i], str(root / ('test' if name == 'test' else 'train') / line.split()[0]))
        (root / 'meta').mkdir(exist_ok=True)
        (root / 'meta' / f'{name}.txt').write_text('\n'.join(lines) + '\n')
    pickles = root / 'cifar-100-python'
    pickles.mkdir()
    flat = images_NHWC.transpose(0, 3, 1, 2).reshape(40, -1)
    for name, content in (('train', dict(data=flat, fine_labels=labels)),
                          ('test', dict(data=flat[:4], fine_labels=labels[:4])),
                          ('meta', dict(fine_label_names=[f'class {i}' for i in range(100)]))):
        (pickles / name).write_bytes(pickle.dumps(content))
    return root


@pytest.fixture
def make_small(cifar100, tmp_path, monkeypatch):
    """Function that takes a config's size and nothing else: network, images, batches, epochs."""
    monkeypatch.setattr(CIFAR100, '_check_integrity', lambda self: True)  # of the real files' checksums
    monkeypatch.setitem(CIFAR100.meta, 'md5', None)

    def shrink(cfg):
        if 'data_root' in cfg:
            cfg.data_root = str(cifar100)
        model = cfg.model.get('architecture', cfg.model)
        if model.backbone.patch_size != 2:  # the digits' is small as it is
            model.backbone.update(arch=dict(SMALL_VIT), img_size=32, patch_size=8)
            model.head.in_channels = SMALL_VIT['embed_dims']
        for split in ('train', 'val', 'test'):
            loader = cfg[f'{split}_dataloader']
            loader.update(batch_size=4, num_workers=0)
            for dataset in leaf_datasets(loader.dataset):
                if dataset.type == 'mmamd.Digits':
                    dataset.indices = 60 if split != 'test' else 4
                for transform in dataset.pipeline:
                    if transform.type == 'Resize':
                        transform.scale = (32, 32)
        cfg.train_dataloader.batch_size = 32  # one step an epoch
        return cfg

    return shrink


def random_teacher(model, path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():  # not init_weights: a head of zeros would make all units equal
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    torch.save({'state_dict': network.state_dict()}, path)
    return str(path)


@pytest.mark.parametrize('path', sorted((*CONFIGS.glob('amd/*.py'), *CONFIGS.glob('kd/*.py'))),
                         ids=lambda path: path.stem)
def test_compression_goes_through_all_its_stages(path, make_small, tmp_path):
    cfg = make_small(Config.fromfile(path))
    cfg.model.teacher = random_teacher(cfg.model.architecture, tmp_path / 'teacher.pth')
    cfg.compression.importance.num_images = 4
    for stage in (cfg.joint, cfg.student):
        stage.train_cfg.max_epochs = 1
    summary = mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert len(summary['rounds']) == (0 if path.parent.name == 'kd' else 1)
    for found in summary['rounds']:
        assert len(found['candidates']) == 1 + sum(i / (cfg.compression.num_candidates + 1) > 0.1001
                                                   for i in range(1, cfg.compression.num_candidates + 1))
    assert summary['student']['macs'] <= 0.10 * summary['teacher']['macs']
    assert mmamd.load_student(tmp_path / 'run') is not None


@pytest.mark.parametrize('path', sorted((CONFIGS / 'teacher').glob('*.py')), ids=lambda path: path.stem)
def test_teacher_trains_to_the_file_that_its_compression_reads(path, make_small, tmp_path):
    cfg = make_small(Config.fromfile(path))
    fill_data_root(cfg)
    cfg.update(work_dir=str(tmp_path), load_from=None, experiment_name=path.stem)
    cfg.train_cfg.max_epochs = 1
    Runner.from_cfg(cfg).train()
    saved = tmp_path / ('epoch_1.pth' if 'digits' in path.stem else 'teacher.pth')
    compression = Config.fromfile(CONFIGS / 'amd' / f'{path.stem.removeprefix("teacher_")}.py')
    distiller = make_small(compression).model
    distiller.teacher = str(saved)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(distiller)  # refuses weights of another network
