"""A teacher that is not pruned teaches in the place of the network that is."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

import mmamd
from mmamd.datasets import Digits
from mmamd.methods import AMD, KD
from mmamd.pipeline.context import BLACK_BOX
from mmamd.pipeline.summary import format_summary
from mmamd.pruning.complexity import profiled_cost
from mmamd.visualization import read_run
from mmamd.visualization.report import NOTHING, _table
from mmamd.weights.networks import build_network, find_network

# 5 tokens of width 24, as many as the tiny network has of width 32.
TIMM = dict(type='TimmClassifier', model_name='vit_tiny_patch16_224', img_size=8, patch_size=4, depth=1, embed_dim=24,
            num_heads=2, num_classes=10, data_preprocessor=dict(mean=[8.] * 3, std=[4.] * 3, to_rgb=True))
KEYS = {'compression.teacher_architecture': TIMM, 'compression.importance.check_teacher': False,
        'model.losses.feat.layers': [('backbone.layers.1', 'model.blocks.0')]}


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('black_box') / 'timm.pth'
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MODELS.build(TIMM).state_dict(), path)
    return str(path)


def test_it_takes_the_place_of_the_pruned_network_as_a_teacher_and_nowhere_else(planned, weights):
    context = planned(AMD(), **KEYS, **{'compression.teacher_weights': weights})
    stages = {stage.name: stage for stage in context.stages}
    assert list(stages) == ['score', 'nest', BLACK_BOX, 'joint', 'select', 'student', 'export']
    assert stages['joint'].teachers == (BLACK_BOX,) and stages['joint'].start == 'nest'
    assert stages['select'].reference == 'nest'
    assert stages['student'].teachers == ('select',)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert context.macs_of(BLACK_BOX) == profiled_cost(context.black_box.network, (3, 8, 8)).macs


def test_an_elastic_student_learns_its_logits_and_through_connectors_its_features(tiny_config, weights, tmp_path):
    cfg = tiny_config(**KEYS, **{
        'compression.teacher_weights': weights, 'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0, 'train_dataloader.dataset.dataset.indices': 118, 'visualizer': None,
        'test_dataloader.dataset.indices': 20})
    summary = mmamd.compress(cfg, work_dir=tmp_path / 'run')
    teacher = find_network(tmp_path / 'run', BLACK_BOX)
    assert teacher.weights == weights and teacher.architecture['model_name'] == TIMM['model_name']
    steps = summary['stages']['student']['macs'] / 96  # images of 6 steps
    connected = 5 * 32 * 24  # five tokens through the map from the student's width to the teacher's
    assert steps == pytest.approx(teacher.cost.macs + 3 * (summary['student']['macs'] + connected), rel=1e-6)
    terms = torch.load(tmp_path / 'run' / 'student' / 'terms.pth', weights_only=True)
    assert terms['feat']['connectors.0.0.weight'].shape == (24, 32)
    network, digits = build_network(teacher), Digits(split='test', indices=20)
    images = torch.stack([torch.from_numpy(digits[i]['img']).permute(2, 0, 1) for i in range(20)])
    logits = network(network.data_preprocessor(dict(inputs=images))['inputs'], mode='tensor')
    right = sum(int(best) == digits[i]['gt_label'] for i, best in enumerate(logits.argmax(1)))
    found = summary['black_box']
    assert (found['value'], found['macs']) == (pytest.approx(right / 20), teacher.cost.macs)
    assert found['held_out'] * 37 == pytest.approx(round(found['held_out'] * 37), abs=1e-3)  # images
    line = next(line for line in format_summary(summary, []).splitlines() if line.startswith('black-box teacher'))
    assert line.split()[-2:] == [f'{100 * found["held_out"]:.2f}', f'{100 * found["value"]:.2f}']
    first, second, *_ = _table(read_run(tmp_path / 'run'))['rows']
    assert first['cells'][:2] == ['black-box teacher', NOTHING] and second['cells'][0] == 'teacher'


def test_teachers_see_images_as_their_own_preprocessor_makes_them(planned, weights):
    context = planned(KD(), **KEYS, **{'compression.teacher_weights': weights})
    stage, = (stage for stage in context.stages if stage.kind == 'distil')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = stage.untrained(context)
    teacher, images = distiller.teacher, torch.randint(0, 17, (2, 3, 8, 8)).float()
    expected = teacher(teacher.data_preprocessor(dict(inputs=images))['inputs'], mode='tensor')
    own = distiller.data_preprocessor(dict(inputs=images), training=False)['inputs']
    found, = distiller.teach(own, [None, None])
    assert not torch.allclose(found.logits, teacher(own, mode='tensor'))
    torch.testing.assert_close(found.logits, expected)


@pytest.mark.parametrize('overrides, message', [
    ({}, 'compression.teacher_architecture has no weights; set compression.teacher_weights'),
    ({'compression.teacher_architecture': dict(TIMM, num_classes=7), 'compression.teacher_weights': 'weights'},
     r'teacher_architecture has logits of shape \(7,\) .*, the network that is pruned \(10,\); give both'),
    ({'compression.teacher_architecture': dict(TIMM, depth=2), 'compression.teacher_weights': 'weights'},
     r'does not fit the network: blocks.1.*missing'),
    ({'compression.teacher_architecture': dict(TIMM, img_size=16), 'compression.teacher_weights': 'weights'},
     r'compression.teacher_architecture=.* cannot be built: Input height \(8\)'),
    ({'compression.teacher_architecture': None, 'compression.teacher_weights': 'weights'},
     'compression.teacher_architecture does not say which'),
    ({'compression.teacher_weights': 'weights', 'model.losses.feat.layers': 'auto'},
     'losses.feat: a student of another architecture needs layers=')])
def test_what_cannot_teach_is_refused_before_anything_is_written(tiny_config, weights, tmp_path, overrides, message):
    given = {key: weights if value == 'weights' else value for key, value in overrides.items()}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        mmamd.compress(tiny_config(**{'method.type': 'mmamd.KD', **KEYS, **given}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_an_elastic_backbone_is_no_black_box(tiny_config, tmp_path):
    cfg = tiny_config(**{'method.type': 'mmamd.KD'})
    cfg.compression.update(teacher_architecture=cfg.model.architecture, teacher_weights=cfg.model.teacher)
    with pytest.raises(ValueError, match="backbone.type='MaskedViT' is a network to prune"):
        mmamd.compress(cfg, work_dir=tmp_path / 'run')


def test_one_that_is_no_better_than_chance_is_refused(planned, weights):
    context = planned(KD(), **{**KEYS, 'compression.teacher_weights': weights, 'train_dataloader.num_workers': 0,
                               'compression.importance.check_teacher': True})
    black_box, = (stage for stage in context.stages if stage.kind == 'black_box')
    with DefaultScope.overwrite_default_scope('mmpretrain'), pytest.raises(
            ValueError, match='the teacher of compression.teacher_architecture is right on .* no better than chance'):
        black_box.carry_out(context)
    assert not context.work_dir.exists()
