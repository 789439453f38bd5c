"""The whole pipeline over a convolutional network, and to a student of another architecture."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from mmengine.config import Config, ConfigDict
from mmengine.dataset import default_collate
from mmengine.registry import DATASETS, DefaultScope
from mmpretrain import get_model
from mmpretrain.registry import MODELS

import mmamd
from mmamd.backbones.recalibration import batch_norms, load_statistics, recalibrate, statistics
from mmamd.pipeline.inputs import with_test_pipeline
from mmamd.pipeline.summary import format_summary
from mmamd.pruning import greedy_norms, independent_norms, profiled_cost
from mmamd.structures import CandidateFamily, Importance, Selection
from mmamd.weights.checkpoint import load_weights
from mmamd.weights.networks import find_network

NUM_CLASSES = 10
WRN = dict(type='ImageClassifier', backbone=dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8),
           neck=dict(type='GlobalAveragePooling'),
           head=dict(type='LinearClsHead', num_classes=NUM_CLASSES, in_channels=64))
# 0.18 of the MACs of WRN-10-1.
VGG = dict(type='ImageClassifier', backbone=dict(type='mmamd.CifarVGG', depth=8, widths=(16, 24, 32, 40, 48)),
           neck=dict(type='GlobalAveragePooling'),
           head=dict(type='LinearClsHead', num_classes=NUM_CLASSES, in_channels=48))
EXTERNAL = {'compression.student_architecture': VGG, 'compression.student_scale': 0.18,
            'student.losses': dict(feat=dict(layers=[('backbone.stages.1', 'backbone.stages.1')]))}


@pytest.fixture(scope='module')
def teacher_file(tmp_path_factory):
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(WRN)
        network.init_weights()
        torch.nn.init.normal_(network.head.fc.weight)
    path = tmp_path_factory.mktemp('wrn') / 'teacher.pth'
    torch.save({'state_dict': network.state_dict()}, path)
    return path


@pytest.fixture(scope='module')
def make_config(teacher_file):
    """Function that makes tiny_config.py one over a WRN, with overrides; one epoch of each training."""
    def make(**overrides):
        cfg = Config.fromfile(Path(__file__).parent / 'tiny_config.py')
        cfg.model.architecture, cfg.model.teacher = ConfigDict(WRN), str(teacher_file)
        cfg.visualizer = None  # pictures are not looked at here
        # An augmentation that is no draw, so that a test can repeat it.
        cfg.train_dataloader.dataset.dataset.pipeline = [
            dict(type='RandomFlip', prob=1.0, direction='horizontal'), dict(type='PackInputs')]
        cfg.compression.update(prune=('filter',), importance=dict(method='l1_greedy'),
                               recalibration=dict(num_images=70, batch_size=32))
        cfg.merge_from_dict({'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1, **overrides})
        return cfg

    return make


def accuracy(network, images, labels):
    with torch.no_grad():
        return (network(images).argmax(1) == labels).float().mean().item()


@pytest.fixture(scope='module')
def greedy_run(make_config, tmp_path_factory):
    """(work_dir, summary) of a run whose filters are ranked by greedy norms. Look at it."""
    work_dir = tmp_path_factory.mktemp('greedy') / 'run'
    return work_dir, mmamd.compress(make_config(), work_dir=work_dir)


def test_student_is_as_small_and_as_good_as_the_summary_says(greedy_run, digits):
    work_dir, summary = greedy_run
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    assert summary['student']['macs'] == family.student.cost.macs <= 0.3 * summary['teacher']['macs']
    student = mmamd.load_student(work_dir)
    assert sum(p.numel() for p in student.parameters()) == summary['student']['params'] == family.student.cost.params
    assert accuracy(student, *digits('test')) == pytest.approx(summary['student']['value'])


def test_each_candidate_is_judged_and_exported_with_statistics_of_its_own(greedy_run, digits, tmp_path):
    work_dir, summary = greedy_run
    assert summary['recalibration_images'] == 64, '70 images are two batches of 32; the third would not be full'
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    own = load_statistics(work_dir / 'joint' / 'statistics.pth')
    assert set(own) == {'1.00', *(candidate.key for candidate in family.candidates)}
    assert not torch.equal(own['1.00']['backbone.stages.0.0.norm2.running_mean'],
                           own[family.student.key]['backbone.stages.0.0.norm2.running_mean'])
    # The exported assistant is the network that was judged, to the image.
    chosen = Selection.load(work_dir / 'select' / 'selection.json').winner
    judged = json.loads((work_dir / 'select' / 'test_metrics.json').read_text())
    mmamd.export_model(work_dir, scale='assistant', out=tmp_path)
    assistant = get_model(str(tmp_path / 'config.py'), str(tmp_path / 'model.pth')).eval()
    assert 100 * accuracy(assistant, *digits('test')) == pytest.approx(judged[f'{chosen.key}/accuracy/top1'])
    assert assistant.backbone.norm.running_mean.tolist() == own[chosen.key]['backbone.norm.running_mean'].tolist()


def test_summary_and_report_say_on_how_many_images_statistics_were_found(greedy_run):
    work_dir, summary = greedy_run
    assert 'statistics of its own, found on 64 training images' in (work_dir / 'report.html').read_text()
    line = 'batch norms of each candidate recalibrated on 64 training images'
    assert line in format_summary(summary, []).splitlines()
    assert 'recalibrated' not in format_summary({**summary, 'recalibration_images': 0}, [])


def statistics_on(student, dataset):
    drawn = np.random.default_rng(0).permutation(len(dataset))[:64]
    recalibrate(student, [student.data_preprocessor(default_collate([dataset[int(i)] for i in part]))['inputs']
                          for part in (drawn[:32], drawn[32:])])
    return statistics(student)


def test_the_student_keeps_the_statistics_of_its_cut_network_on_training_images_as_augmented(greedy_run, make_config):
    work_dir, _ = greedy_run
    student, cfg = mmamd.load_student(work_dir), make_config()
    kept = statistics(student)
    augmented = statistics_on(student, DATASETS.build(cfg.train_dataloader.dataset))
    for name, value in augmented.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-4, atol=1e-5)
    plain = statistics_on(student, DATASETS.build(with_test_pipeline(cfg.train_dataloader.dataset,
                                                                     cfg.test_dataloader.dataset)))
    assert not torch.allclose(plain['backbone.norm.running_mean'], kept['backbone.norm.running_mean'], rtol=1e-3)


def test_averaged_weights_are_delivered_with_statistics_of_their_own(make_config, tmp_path):
    cfg = make_config(**{'method.type': 'mmamd.KD', 'student.average': dict(share=0.3)})
    mmamd.compress(cfg, work_dir=tmp_path)
    checkpoint = torch.load(tmp_path / 'student' / 'epoch_1.pth', weights_only=False)
    average, raw = checkpoint['state_dict'], checkpoint['ema_state_dict']
    assert not torch.equal(average['network.head.fc.weight'], raw['module.network.head.fc.weight'])
    student = mmamd.load_student(tmp_path)
    assert torch.equal(student.head.fc.weight, average['network.head.fc.weight'])
    kept = statistics(student)
    assert kept['backbone.norm.running_mean'].tolist() != average['network.backbone.norm.running_mean'].tolist()
    for name, value in statistics_on(student, DATASETS.build(cfg.train_dataloader.dataset)).items():
        torch.testing.assert_close(kept[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_every_candidate_sees_the_same_draws_of_augmentation(greedy_run, make_config, tmp_path):
    # With crops that are drawn, in a worker, the statistics of a second run are those of the first, to the bit.
    crop = [dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')]
    for name in 'ab':
        shutil.copytree(greedy_run[0], tmp_path / name)
        mmamd.compress(make_config(start_from='joint', **{'train_dataloader.dataset.dataset.pipeline': crop}),
                       work_dir=tmp_path / name)
    first, second = (load_statistics(tmp_path / name / 'joint' / 'statistics.pth') for name in 'ab')
    for key, own in first.items():
        assert all(torch.equal(value, second[key][name]) for name, value in own.items())


def run_on_a_rank(rank, folder, cfg):
    os.environ['LOCAL_RANK'] = str(rank)
    os.chdir(folder)  # the host collects results in a folder of the current one
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=5))
    summary = mmamd.compress(cfg, work_dir=folder / 'run')
    (folder / f'summary_{rank}.json').write_text(json.dumps(summary))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_with_uneven_batches_deliver_the_statistics_that_one_would(make_config, tmp_path):
    # 163 images are 82 a process, three batches of 27 and one of a single image; 37 held-out ones are odd.
    cfg = make_config(launcher='pytorch', **{'train_dataloader.batch_size': 27, 'train_dataloader.drop_last': False,
                                             'train_dataloader.num_workers': 0})
    torch.multiprocessing.spawn(run_on_a_rank, (tmp_path, cfg), nprocs=2)
    first, second = (json.loads((tmp_path / f'summary_{rank}.json').read_text()) for rank in range(2))
    assert first == second
    for candidate in first['selections'][0]['candidates']:
        assert candidate['value'] * 37 == pytest.approx(round(candidate['value'] * 37), abs=1e-3)
    student = mmamd.load_student(tmp_path / 'run')
    kept = statistics(student)
    for name, value in statistics_on(student, DATASETS.build(cfg.train_dataloader.dataset)).items():
        torch.testing.assert_close(kept[name], value, rtol=1e-4, atol=1e-5)


def test_filters_are_ranked_without_what_the_student_loses_before_them(greedy_run, make_config):
    work_dir, _ = greedy_run
    greedy = Importance.load(work_dir / 'score' / 'importance.json')
    assert (greedy.level, greedy.num_images) == ('l1_greedy', 0)
    cfg = make_config()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(cfg.model.architecture)
    load_weights(network, cfg.model.teacher)
    layers = network.backbone.filter_layers()
    student = CandidateFamily.load(work_dir / 'nest' / 'family.json').student
    assert greedy.scores == greedy_norms(layers, student.kept) != independent_norms(layers)


@pytest.mark.slow
def test_gates_score_filters_too(make_config, tmp_path):
    importance = dict(method='taylor', num_images=32, batch_size=16, check_teacher=False)
    summary = mmamd.compress(make_config(**{'compression.importance': importance, 'method.num_assistants': 2}),
                             work_dir=tmp_path / 'run')
    assert Importance.load(tmp_path / 'run' / 'score' / 'importance.json').level == 'sample'
    # The second assistant is chosen with statistics of its own joint stage.
    assert len(summary['selections']) == 2 and (tmp_path / 'run' / 'joint_2' / 'statistics.pth').is_file()


@pytest.mark.slow
def test_a_student_of_another_architecture_learns_from_the_assistant_and_leaves_alone(make_config, digits, tmp_path):
    work_dir = tmp_path / 'run'
    summary = mmamd.compress(make_config(**EXTERNAL), work_dir=work_dir)
    student = mmamd.load_student(work_dir)
    assert type(student.backbone).__name__ == 'CifarVGG'
    cost = profiled_cost(student, (3, 8, 8))
    assert (summary['student']['macs'], summary['student']['params']) == (cost.macs, cost.params)
    assert accuracy(student, *digits('test')) == pytest.approx(summary['student']['value'])
    trained = torch.load(work_dir / 'student' / 'epoch_1.pth', weights_only=False)['state_dict']
    assert [key for key in trained if key.startswith('terms.feat.connectors.')]
    state = torch.load(work_dir / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert set(state) == set(student.state_dict())
    # Distilled under its scale, from an assistant above it.
    logged = (work_dir / 'student').glob('*/vis_data/scalars.json')
    assert all('0.18.loss_feat' in json.loads(path.read_text().splitlines()[0]) for path in logged)
    assert summary['selections'][0]['chosen']['scale'] > 0.18
    with pytest.raises(ValueError, match="is no cut of the teacher, and its files are in .*student; expected scale"):
        mmamd.export_model(work_dir, scale='student')
    assert mmamd.export_model(work_dir, scale='assistant')


def test_a_section_with_images_of_its_own_finds_statistics_on_these(make_config, tmp_path):
    own = dict(dataset=dict(dataset=dict(indices=120, pipeline=[
        dict(type='RandomFlip', prob=1.0, direction='vertical'), dict(type='PackInputs')])))
    cfg = make_config(**{'method.type': 'mmamd.KD', 'student.train_dataloader': own})
    mmamd.compress(cfg, work_dir=tmp_path)
    student = mmamd.load_student(tmp_path)
    kept = statistics(student)
    dataset = cfg.train_dataloader.dataset.to_dict()
    dataset['dataset'].update(own['dataset']['dataset'])
    for name, value in statistics_on(student, DATASETS.build(dataset)).items():
        torch.testing.assert_close(kept[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_joint_stage_may_start_from_the_refit_of_the_smallest_candidate(make_config, tmp_path):
    cfg = make_config(**{'compression.refit': dict(num_images=128), 'method.start': 'smallest',
                         'method.tune_epochs': 1})
    summary = mmamd.compress(cfg, work_dir=tmp_path)
    assert list(summary['stages']) == ['score', 'nest', 'refit', 'joint', 'select', 'tune', 'student', 'export']
    family = CandidateFamily.load(tmp_path / 'nest' / 'family.json')
    assert list(json.loads((tmp_path / 'refit' / 'networks.json').read_text())) == [family.student.key]
    # The tuned assistant teaches with statistics of its own.
    assert set(load_statistics(tmp_path / 'tune' / 'statistics.pth')) == {find_network(tmp_path, 'select').key}


# --- refused before anything is written ---

OTHER_CLASSES = dict(VGG, head=dict(type='LinearClsHead', num_classes=7, in_channels=48))


@pytest.mark.parametrize('overrides, message', [
    (dict(EXTERNAL, **{'compression.student_architecture': OTHER_CLASSES}),
     r'student_architecture has logits of shape \(7,\) .*the teacher \(10,\); .*head.num_classes=10'),
    (dict(EXTERNAL, pretrain=dict(train_cfg=dict(max_epochs=1), trains='losses')),
     "pretrain.trains='losses' would fit the terms to a student that is drawn anew after it"),
    (dict(EXTERNAL, **{'student.average': dict(share=0.1)}),
     r"student.average={'share': 0.1} would deliver averaged weights under batch norm statistics of others.*no cut of "
     'a teacher with batch norm; set student.average=None'),
    (dict(EXTERNAL, **{'compression.student_scale': 0.5}),
     r'has 0.1789 of the macs of the teacher, but compression.student_scale=0.5; .* compression.student_scale=0.18'),
    (dict(EXTERNAL, **{'student.losses': {}}), "losses.feat: a student of another architecture needs layers="),
    (dict(EXTERNAL, **{'student.losses': dict(feat=dict(layers=[('backbone.stages.9', 'backbone.stages.1')]))}),
     "losses.feat: of the student: ImageClassifier has no module 'backbone.stages.9'. Did you mean backbone.stages"),
    (dict(EXTERNAL, **{'student.losses': dict(feat=dict(layers=[('backbone.stages.0', 'backbone.stages.2')]))}),
     r"losses.feat: cannot compare 'backbone.stages.0' of the student, whose output is \(16, 8, 8\), "
     r'.*\(64, 2, 2\); .* equally large'),
    ({'compression.refit': {}, 'method.start': 'nested'},
     "candidates of this network share the norms of .*expected a transformer: .*method.start='smallest'"),
    ({'compression.refit': {}, 'method.start': 'together'}, "share the norms of .*method.start='smallest'"),
    ({'compression.recalibration.num_images': 0}, 'recalibration.num_images must be a positive integer, got 0'),
    ({'compression.recalibration.every': 2}, r"recalibration has no key 'every'.*Expected .*num_images"),
    ({'compression.importance.method': 'l2'}, "importance.method must be one of .*'l1_greedy'.*got 'l2'"),
    ({'compression.prune': ('block',)}, r"drops residual blocks of transformers, .* prune=\('filter',\), or .*fewer"),
    ({'compression.prune': ('head',)}, r"prune must name kinds .*\['filter'\], got \('head',\)"),
])
def test_what_cannot_work_is_refused_before_anything_is_written(make_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(make_config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_filter_norms_of_heads_and_neurons_are_refused(tiny_config, tmp_path):
    with pytest.raises(ValueError, match=r"layers.0.head \(and 3 more\) has none; set .*method='taylor'"):
        mmamd.compress(tiny_config(**{'compression.importance.method': 'l1_greedy'}), work_dir=tmp_path / 'run')


def test_a_network_without_batch_norm_has_no_statistics(finished_run):
    work_dir, summary = finished_run
    assert summary['recalibration_images'] == 0 and not (work_dir / 'joint' / 'statistics.pth').exists()
    assert not batch_norms(mmamd.load_student(work_dir)) and not statistics(mmamd.load_student(work_dir))
