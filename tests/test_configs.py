"""Every shipped config can be found by its name and loads."""

from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config

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
