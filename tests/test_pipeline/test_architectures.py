"""The whole pipeline over other networks than the vision transformer of tiny_config.py."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

import mmamd
from mmamd.structures import CandidateFamily

# 2 blocks of 2 heads and 64 neurons on a map of 4 x 4 tokens, in four windows, shifted in the second block;
# 2 blocks of 4 heads and 128 neurons on a map of 2 x 2, in one.
SWIN = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedSwin', img_size=8, patch_size=2, window_size=2, out_indices=(1,),
                  arch=dict(embed_dims=16, depths=[2, 2], num_heads=[2, 4])),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32))
# As DINOv2's giant: 2 blocks of 2 heads and 64 gated neurons on 4 + 1 tokens and 4 registers.
GATED = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, num_registers=4, layer_scale_init_value=1.,
                  layer_cfgs=dict(ffn_type='swiglu_fused'),
                  arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=96)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32))


@pytest.fixture(scope='module', params=[
    pytest.param(SWIN, id='Swin'), pytest.param(GATED, id='SwiGLU and registers', marks=pytest.mark.slow)])
def architecture(request):
    return request.param


@pytest.fixture
def config(architecture, tiny_config, tmp_path):
    """tiny_config.py over another network, whose teacher has drawn weights; one epoch of each training."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(architecture)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'teacher.pth')
    config = tiny_config(**{'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1,
                            'compression.importance.check_teacher': False})
    config.model.architecture = ConfigDict(architecture)
    config.model.teacher = str(tmp_path / 'teacher.pth')
    return config


def test_every_stage_runs_and_the_student_is_as_small_and_as_good_as_the_summary_says(config, digits, tmp_path):
    summary = mmamd.compress(config, work_dir=tmp_path / 'run')
    assert list(summary['stages']) == ['score', 'nest', 'joint', 'select', 'student', 'export']
    assert summary['student']['macs'] <= 0.3 * summary['teacher']['macs']
    family = CandidateFamily.load(tmp_path / 'run' / 'nest' / 'family.json')
    assert [candidate['macs'] for candidate in summary['selections'][0]['candidates']] == [
        candidate.cost.macs for candidate in family.candidates]
    # A third of so few heads leaves blocks without any.
    assert 0 in family.student.kept.values()

    student = mmamd.load_student(tmp_path / 'run')
    assert sum(p.numel() for p in student.parameters()) == summary['student']['params'] == family.student.cost.params
    images, labels = digits('test')
    with torch.no_grad():
        accuracy = (student(images).argmax(1) == labels).float().mean().item()
    assert accuracy == pytest.approx(summary['student']['value'])
