"""A teacher that timm trained is compressed like any other; one that is fine-tuned may start from timm's weights."""

from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
from mmamd.backbones.timm_vit import architecture_of_model
from mmamd.pipeline.config.settings import Settings, pretrained_sources
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import score

# A timm model of the digits: 32 wide, 4 heads.
SIZES = dict(img_size=8, patch_size=4, embed_dim=32, depth=2, num_heads=4, num_classes=10)
HERE = Path(__file__).parent


@pytest.fixture
def architecture():
    with torch.device('meta'):
        return architecture_of_model(timm.create_model('vit_tiny_patch16_224', **SIZES))


@pytest.fixture
def timm_teacher(tmp_path):
    """Function (seed) -> source of a timm checkpoint of random weights, the same file each time."""
    def make(seed):
        torch.manual_seed(seed)
        model = timm.create_model('vit_tiny_patch16_224', **SIZES)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'timm.pth')
        return f'timm:VisionTransformer@{tmp_path}/timm.pth'

    return make


@pytest.fixture
def config(tiny_config, architecture):
    """Function (overrides) -> tiny_config.py over the network of the timm model: one epoch, no assistant."""
    return lambda **overrides: tiny_config(**{
        'model.architecture': dict(_delete_=True, **architecture), 'method.type': 'mmamd.KD',
        'compression.importance.check_teacher': False, 'student.train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0, **overrides})


def test_a_timm_checkpoint_is_compressed_and_known_by_its_content(config, timm_teacher, contents, tmp_path):
    work_dir = tmp_path / 'run'
    summary = mmamd.compress(config(**{'model.teacher': timm_teacher(0)}), work_dir=work_dir)
    assert summary['student']['params'] < summary['teacher']['params']
    before = contents(work_dir)
    with pytest.raises(ValueError, match="a stage 'score' .* changed since: teacher. Redo it with --start-from"):
        mmamd.compress(config(**{'model.teacher': timm_teacher(1)}), work_dir=work_dir)
    assert contents(work_dir) == before


@pytest.mark.parametrize('source, error, match', [
    ('timm:vit_tiny_patch16_22', ValueError, 'Did you mean vit_tiny_patch16_224'),
    ('timm:convnext_tiny', ValueError, 'another family, timm.models.convnext'),
    ('timm:vit_tiny_patch16_224@no.pth', FileNotFoundError, "'no.pth', which is not there"),
    ('timm:vit_tiny_patch16_224', ValueError, r'head.layers.head.weight is \(1000, 192\) .* \(10, 32\) in the network'),
    ('deit-tiny_4xb256_in1', FileNotFoundError, 'Did you mean deit-tiny_4xb256_in1k')])
def test_a_teacher_that_cannot_be_is_refused_before_anything_is_written(config, tmp_path, source, error, match):
    with pytest.raises(error, match=match):
        mmamd.compress(config(**{'model.teacher': source}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def with_teacher_config(config, architecture, folder, start):
    """A config whose teacher is trained first, from ``start``."""
    text = (HERE / 'tiny_teacher.py').read_text().replace("'../../", f"'{HERE.parent.parent}/")
    (folder / 'teacher.py').write_text(f'{text}\nmodel = {architecture}\nmodel["backbone"]["init_cfg"] = dict(\n'
                                       f'    type="Pretrained", checkpoint="{start}", prefix="backbone.")\n')
    return config(**{'model.teacher': None, 'teacher_config': str(folder / 'teacher.py')})


def test_a_teacher_that_cannot_start_from_its_weights_is_refused_before_it_is_trained(config, architecture, tmp_path):
    # Of another width; and the fine-tuned network has the classes of the data, so only the backbone is compared.
    config = with_teacher_config(config, architecture, tmp_path, 'timm:vit_tiny_patch16_224')
    with pytest.raises(ValueError, match=r'the backbone cannot start from timm:vit_tiny_patch16_224: .*\(1, 1, 192\)'):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_teacher_is_fine_tuned_from_timm_and_the_start_is_known_by_its_content(config, architecture, timm_teacher,
                                                                                 tmp_path):
    config = with_teacher_config(config, architecture, tmp_path, timm_teacher(0))
    mmamd.compress(config, work_dir=tmp_path / 'run')
    timm_teacher(1)
    with pytest.raises(ValueError, match="a stage 'teacher' .* changed since: sources. Redo it with"):
        mmamd.compress(config, work_dir=tmp_path / 'run')


def test_every_place_that_weights_start_from_is_found():
    start = dict(type='Pretrained', checkpoint='backbone.pth')
    model = dict(backbone=dict(init_cfg=start), head=dict(init_cfg=dict(type='Normal')))
    assert pretrained_sources(Config(dict(load_from='all.pth', model=model))) == ['all.pth', 'backbone.pth']
    assert pretrained_sources(Config(dict(model=dict(type='x')))) == []


def test_another_normalisation_than_the_teachers_is_warned_of(config, monkeypatch, timm_teacher):
    asked = []
    monkeypatch.setattr(score, 'warn_of_normalisation', lambda *arguments: asked.append(arguments))
    source = timm_teacher(0)
    cfg = config(**{'model.teacher': source})
    context = Context(cfg, Settings.from_cfg(cfg), Path('nowhere'), 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        score.Score.of(context).check(context)
    (preprocessor, warned), = asked
    assert preprocessor['mean'] == [77.8] * 3 and warned == source
