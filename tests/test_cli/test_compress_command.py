"""``mmamd compress`` finds out what a teacher and its images are, and writes a config that is short and right."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from newcomer import ARCHITECTURE, CLASSES, save_teacher

from mmamd.methods import KD
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.inputs import fill_data_root
from mmamd.registry import MODELS


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return folder


def proposed(mmamd_command, *words):
    """(config, lines of it, what was printed) of a dry run."""
    status, out, error = mmamd_command('compress', *words, '--dry-run')
    assert status == 0, error
    path = next(line for line in out.splitlines() if line.startswith('config: ')).removeprefix('config: ')
    return Config.fromfile(path), Path(path).read_text().splitlines(), out


def images_of(cfg, split):
    """The data set of a split, as a run reads it."""
    fill_data_root(cfg)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(cfg[f'{split}_dataloader'].dataset.to_dict())


def test_everything_is_found_in_the_checkpoint_and_the_folder(here, mmamd_command):
    cfg, lines, out = proposed(mmamd_command, here / 'teacher.pth', '--data', here / 'data', '--to', '15%')
    assert len(lines) <= 30
    settings = Settings.from_cfg(cfg)  # refuses what a run would
    assert settings.compression.student_scale == 0.15 and settings.compression.refit is not None
    assert cfg.model.architecture.backbone == {**ARCHITECTURE['backbone'], 'type': 'mmamd.MaskedViT'}
    assert cfg.model.teacher == str(here / 'teacher.pth')
    assert cfg.data_preprocessor.mean == [77.8] * 3 and not cfg.data_preprocessor.to_rgb
    test = images_of(cfg, 'test')
    assert test.metainfo['classes'] == CLASSES and len(test) == 200
    assert cfg.val_dataloader.dataset.part == 'held_out' and cfg.train_dataloader.dataset.part == 'train'
    assert cfg.val_dataloader.dataset.every == cfg.train_dataloader.dataset.every
    assert isinstance(settings.method, KD) and settings.compression.budget == 1
    # Its teacher saw each image as it is: there is one view of it.
    assert cfg.teacher_cache.views == 1
    assert {name: term.weight for name, term in cfg.model.losses.items()} == dict(ce=0, logit=1, feat=0)
    for said in ('teacher: mmamd.MaskedViT, 10 classes, by its checkpoint', 'images: 8 x 8', 'mean 77.8',
                 'train 200 in train; test 200 in test; 10 classes', 'student: 100 epochs of',
                 'taught by: the teacher alone, not the labels'):
        assert said in out


def test_an_edited_config_is_not_overwritten(here, mmamd_command):
    words = [here / 'teacher.pth', '--data', here / 'data', '--to', '15%']
    _, lines, out = proposed(mmamd_command, *words)
    path = Path('work_dirs/teacher_data_15.py')
    assert f'config: {path}' in out
    proposed(mmamd_command, *words)  # the same again changes nothing
    path.write_text(path.read_text().replace('0.15', '0.2'))
    status, _, error = mmamd_command('compress', *words, '--dry-run')
    assert status == 1 and f'{path} is there and says otherwise' in error and '0.2' in path.read_text()
    assert proposed(mmamd_command, *words, '--force')[1] == lines


def test_one_folder_of_classes_is_split_in_three(here, mmamd_command):
    cfg, _, out = proposed(mmamd_command, here / 'teacher.pth', '--data', here / 'data' / 'test', '--to', '10%', '20%',
                           '--epochs', '7', '--batch-size', '20', '--budget', '2')
    assert cfg.compression.student_scale == [0.1, 0.2] and cfg.compression.budget == 2
    assert cfg.student.train_cfg.max_epochs == 7 and cfg.train_dataloader.batch_size == 20
    parts = {split: images_of(cfg, split) for split in ('train', 'val', 'test')}
    paths = {split: {part.get_data_info(i)['img_path'] for i in range(len(part))} for split, part in parts.items()}
    assert sum(map(len, paths.values())) == len(set.union(*paths.values())) == 200
    assert 'to choose by and to test on' in out and '--test-data names others' in out


def test_classes_in_another_order_are_followed(here, teacher, tmp_path, mmamd_command):
    save_teacher(teacher, tmp_path / 'odd.pth', classes=CLASSES[::-1])
    cfg, lines, out = proposed(mmamd_command, tmp_path / 'odd.pth', '--data', here / 'data', '--to', '15%')
    assert "0 is 'digit 9' there and 'digit 0' here" in out and len(lines) <= 30
    test = images_of(cfg, 'test')
    assert test.metainfo['classes'] == CLASSES[::-1]
    info = test.get_data_info(0)
    assert CLASSES[::-1][info['gt_label']] == Path(info['img_path']).parent.name


def test_a_checkpoint_that_says_nothing_needs_to_be_told(here, teacher, tmp_path, mmamd_command):
    words = [teacher, '--data', here / 'data', '--keep', '98%']
    status, _, error = mmamd_command('compress', *words)
    assert status == 1 and 'does not say what network it is of; give --config FILE' in error and 'resnet50' in error
    Config(dict(model=ARCHITECTURE)).dump(tmp_path / 'mine.py')
    cfg, _, out = proposed(mmamd_command, *words, '--config', tmp_path / 'mine.py')
    assert cfg.compression.keep == 0.98 and cfg.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert "by assumption, ImageNet's" in out and "nothing says the order of the teacher's classes" in out
    status, _, error = mmamd_command('compress', *words, '--arch', 'vit-m')
    assert status == 1 and "unknown --arch 'vit-m'. Did you mean vit-" in error


def test_a_convolutional_network_of_a_known_name(here, tmp_path, mmamd_command):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(dict(type='ImageClassifier', backbone=dict(type='ResNet_CIFAR', depth=18),
                                    head=dict(type='LinearClsHead', num_classes=10, in_channels=512)))
    torch.save(network.state_dict(), tmp_path / 'resnet.pth')
    cfg, lines, _ = proposed(mmamd_command, tmp_path / 'resnet.pth', '--arch', 'resnet18', '--data', here / 'data',
                             '--latency', '2ms')
    assert len(lines) <= 30 and cfg.compression.latency == '2ms'
    assert Settings.from_cfg(cfg).compression.refit is not None
    assert cfg.model.architecture.backbone.type == 'mmamd.MaskedResNetCIFAR'
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (32, 32)  # digits of 8 px, as the network was trained


@pytest.mark.parametrize('backbone, width, units, base, first', [
    (dict(type='ConvNeXt', arch=dict(depths=[1, 1], channels=[8, 12]), out_indices=(1,)), 12, ('neuron',), 'amd', 0.3),
    (dict(type='MobileNetV2', widen_factor=0.1), 1280, ('filter',), 'amd_filters', 0.3),
    (dict(type='ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4), 32, ('filter',), 'amd_filters', 0.1)])
def test_what_is_removed_is_what_the_backbone_has(here, tmp_path, mmamd_command, backbone, width, units, base, first):
    pooled = dict(neck=dict(type='GlobalAveragePooling')) if units == ('filter',) else {}
    architecture = dict(type='ImageClassifier', backbone=backbone, **pooled,
                        head=dict(type='LinearClsHead', num_classes=10, in_channels=width))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        torch.save(dict(state_dict=MODELS.build(architecture).state_dict()), tmp_path / 'weights.pth')
    save_teacher(tmp_path / 'weights.pth', tmp_path / 'net.pth', architecture=architecture)
    cfg, lines, out = proposed(mmamd_command, tmp_path / 'net.pth', '--data', here / 'data', '--keep', '90%')
    assert cfg.compression.prune == units and f'methods/{base}.py' in ''.join(lines)
    # What leads from stage to stage stays as wide as it is, and so do the last convolutions of a MobileNetV2.
    assert cfg.compression.get('scales', [0.1])[0] == first
    assert ('what pruning never removes has' in out) == (first > 0.1)


@pytest.mark.slow
def test_a_newcomer_goes_from_a_checkpoint_to_predictions(here, mmamd_command):
    status, out, error = mmamd_command('compress', here / 'teacher.pth', '--data', here / 'data', '--to', '30%',
                                       '--epochs', '4', '--cfg-options', 'train_dataloader.num_workers=0')
    assert status == 0, error
    run = Path('work_dirs/teacher_data_30')
    assert f'next: mmamd predict {run}' in out and 'plan: ' in out
    assert (run / 'student' / 'student.pth').is_file()
    status, out, _ = mmamd_command('predict', run, here / 'data' / 'test')
    lines = out.splitlines()
    right = sum(Path(line.rpartition(': ')[0]).parent.name in line.rpartition(': ')[2] for line in lines)
    assert status == 0 and len(lines) == 200 and right > 60  # a student of four epochs, far above a tenth
    status, out, _ = mmamd_command('export', run, '--form', 'onnx', '--scale', 'student')
    assert status == 0 and (run / 'exported' / '0.30' / 'model.onnx').is_file()
    shutil.rmtree(run / 'student')
    status, _, error = mmamd_command('predict', run, here / 'data' / 'test')
    assert status == 1 and 'student' in error


def finished(mmamd_command, here, *goal):
    """(summary, what was printed) of a run of four epochs."""
    status, out, error = mmamd_command(
        'compress', here / 'teacher.pth', '--data', here / 'data', *goal, '--epochs', '4', '--work-dir', 'run',
        '--cfg-options', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
        'test_dataloader.num_workers=0', 'compression.scales=[0.4,0.6,0.8,0.9]')
    assert status == 0, error
    return json.loads(Path('run/summary.json').read_text()), out


@pytest.mark.slow
def test_the_student_keeps_what_it_was_to_keep_on_held_out_images(here, mmamd_command):
    summary, out = finished(mmamd_command, here, '--keep', '98%')
    size, student = summary['size'], summary['student']
    verified = json.loads(Path(f'run/verify_{student["scale"]:.2f}/size.json').read_text())
    assert size['keep'] == 0.98 <= verified['kept'] == pytest.approx(verified['value'] / verified['teacher'])
    assert f'{100 * student["value"]:.2f}' in next(line for line in out.splitlines() if line.startswith('student '))
    assert f'the student has {student["value"] / summary["teacher"]["value"]:.1%} of the teacher on the test' in out


@pytest.mark.slow
def test_the_student_answers_within_the_time_that_it_was_given(here, mmamd_command):
    summary, _ = finished(mmamd_command, here, '--latency', '100ms')  # of any machine: the largest that may be chosen
    found = json.loads(Path('run/size/size.json').read_text())
    assert found['scale'] == summary['student']['scale'] == 0.8 and list(found['seconds']) == ['0.40', '0.60', '0.80']
    assert 0 < found['seconds']['0.80'] < 0.1
