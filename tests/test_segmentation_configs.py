"""Every shipped config of segmentation is found by its name, says what it is, and fits to those beside it."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd.pruning.complexity import network_cost
from mmamd.registry import MODELS

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / 'configs' / 'segmentation').glob('*.py'))
TEACHERS = [path for path in CONFIGS if path.stem.startswith('teacher_')]
BASELINES = [path for path in CONFIGS if path.stem.startswith('kd_')]
COMPRESSIONS = [path for path in CONFIGS if path not in [*TEACHERS, *BASELINES]]


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=lambda path: path.stem)


def recipe_of(path):
    """The compression that a teacher or a baseline belongs to."""
    return path.with_stem(path.stem.partition('_')[2])


def test_each_compression_has_a_teacher_and_mim_finds_one_file_of_each_name():
    assert {recipe_of(path) for path in TEACHERS} == set(COMPRESSIONS) >= {recipe_of(path) for path in BASELINES}
    found = Counter(path.name for folder in ('configs', 'mmamd', 'tools') for path in (ROOT / folder).rglob('*.py')
                    if '.mim' not in path.parts)
    assert [path.name for path in CONFIGS if found[path.name] > 1] == []


@each(CONFIGS)
def test_recipe_card_is_that_of_the_config(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    title, _, body = text.partition('\n')
    parts = re.split(r'^([A-Z][a-z]+): ', body, flags=re.MULTILINE)[1:]
    card = {name: ' '.join(value.split()) for name, value in zip(parts[::2], parts[1::2], strict=True)}
    assert re.fullmatch(r'.+ -> .+[.]', title)
    third = 'Weights' if path in TEACHERS else 'Teacher'
    assert tuple(card) == ('Paper', 'Row', third, 'Command', 'Hardware', 'Schedule', 'Measured') and all(card.values())
    assert path.relative_to(ROOT).as_posix() in card['Command']
    named = re.findall(r'\b(?:configs|tools|results)/[\w./-]+\w', text)
    assert [name for name in named if not (ROOT / name).is_file()] == []
    cfg = Config.fromfile(path)
    steps = cfg.train_cfg.max_iters if path in TEACHERS else cfg.student.train_cfg.max_iters
    assert f'{steps:,} steps' in card['Schedule']
    if path in COMPRESSIONS:
        assert f'-> {cfg.compression.student_scale:.0%} of its backbone'.replace('%', ' %') in title


@each(CONFIGS)
def test_candidates_are_judged_on_held_out_blocks_of_training_frames(path):
    train, val, test = (Config.fromfile(path)[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test'))
    assert (train.part, val.part) == ('train', 'held_out') and train.block == val.block > 1
    assert train.every == val.every and train.dataset.data_prefix == val.dataset.data_prefix != test.data_prefix


@each(BASELINES)
def test_baseline_differs_from_its_compression_in_the_method_alone(path):
    baseline, compression = (Config.fromfile(each).to_dict() for each in (path, recipe_of(path)))
    assert (baseline.pop('method'), compression.pop('method')) == (dict(type='mmamd.KD'), dict(type='mmamd.AMD'))
    assert baseline == compression


@each(TEACHERS)
def test_teacher_is_the_network_that_its_compression_distils_and_sees_the_same_images(path):
    teacher, compression = Config.fromfile(path), Config.fromfile(recipe_of(path))
    assert teacher.model == compression.model.architecture
    assert compression.model.teacher == f'work_dirs/{path.stem}/teacher.pth'
    for key in ('data_preprocessor', 'train_dataloader', 'test_dataloader'):
        assert teacher[key] == compression[key]


@pytest.mark.seg
@each(COMPRESSIONS)
def test_network_is_within_reach_of_a_cpu(path):
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = MODELS.build(Config.fromfile(path).model.architecture)
    assert network_cost(network).macs <= 3e9
