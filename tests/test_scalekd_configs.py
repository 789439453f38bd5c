"""Every config of ScaleKD distils the network of another recipe into a plain one, of which it knows the last stages."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from meta_device import meta_device
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmamd.methods import AMD, KD
from mmamd.pipeline.config.settings import Settings
from mmamd.pruning.complexity import profiled_cost

CONFIGS = Path(__file__).parent.parent / 'configs'
PROBE = CONFIGS / 'scalekd' / 'transfer_vit-b_cifar100.py'
PATHS = sorted(set((CONFIGS / 'scalekd').glob('*.py')) - {PROBE})
ON_CIFAR = [path for path in PATHS if path.stem.endswith('cifar100')]
# As MMPretrain publishes them, and timm; the paper rounds them to 25.56, 4.23, 28.59, 18.53, 22.05, 28.29 and 86.57 M.
PARAMETERS = {'resnet50': 25_557_032, 'mobilenet-v1': 4_231_976, 'convnext-t': 28_589_128, 'mixer-s': 18_528_264,
              'vit-s': 22_050_664, 'swin-t': 28_288_354, 'vit-b': 86_567_656, 'resnet20': 278_324,
              'mixer-micro': 318_436}


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=lambda path: path.stem)


@cache
def read(path):
    """The config of a file, read once. Not to be changed."""
    return Config.fromfile(path)


def student_of(path):
    return path.stem.split('_')[1].removesuffix('-advanced')


def distiller_of(path, **losses):
    """The distiller of untrained networks that a config describes."""
    cfg = read(path)
    preprocessor = cfg.data_preprocessor.to_dict()
    teacher = dict(architecture={**cfg.model.architecture.to_dict(), 'data_preprocessor': preprocessor}, weights=None)
    settings = {**cfg.model.to_dict(), 'teacher': teacher, 'start': None, 'data_preprocessor': preprocessor,
                'architecture': cfg.compression.student_architecture.to_dict(), **losses}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(settings)


def test_there_is_a_config_of_each_student_and_recipe():
    assert len(PATHS) == 13 and {student_of(path) for path in PATHS} == set(PARAMETERS)
    assert sum('-advanced' in path.stem for path in PATHS) == 2


@each(PATHS)
def test_teacher_is_the_network_of_another_recipe_and_sees_colours_as_there(path):
    teacher, *_, data = path.stem.split('_')
    cfg, recipe = read(path), read(CONFIGS / 'amd' / f'{teacher}_{data}.py')
    assert cfg.model.architecture == recipe.model.architecture and cfg.model.teacher == recipe.model.teacher
    for key in ('mean', 'std', 'to_rgb'):
        assert cfg.data_preprocessor[key] == recipe.data_preprocessor[key]


@each(PATHS)
def test_logits_are_compared_once_beside_half_of_the_tasks_loss(path):
    losses = read(path).model.losses
    assert set(losses) == {'ce', 'scalekd'} and losses.ce.weight == 0.5 and losses.scalekd.preset == 'released'


@each(PATHS)
def test_schedule_is_that_of_the_papers_table_10(path):
    cfg = read(path)
    if path in ON_CIFAR:
        assert cfg.student.train_cfg.max_epochs == 12 and cfg.train_dataloader.batch_size == 128
        return
    processes = int(path.read_text().split(f'{path.name} ')[1].split()[0])
    assert processes * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size
    head, backbone = (cfg.compression.student_architecture[part] for part in ('head', 'backbone'))
    steps = {step.type: step for step in cfg.train_pipeline}
    assert not cfg.data_preprocessor.get('batch_augments')
    assert cfg.train_dataloader.dataset.dataset.pipeline == cfg.train_pipeline
    schedule = cfg.student.param_scheduler
    if cfg.student.train_cfg.max_epochs == 100:  # 10a
        assert [(step.milestones, step.gamma) for step in schedule] == [([30, 60, 90], 0.1)]
        assert 'loss' not in head and not backbone.get('drop_path_rate') and 'RandAugment' not in steps
        assert cfg.auto_scale_lr.base_batch_size == 256
        return
    kind = {'Lamb': (5e-3, 0.02, 2048, 7, 0.05), 'AdamW': (7e-4, 0.07, 1536, 9, 0.1) if 'mixer' in path.stem else
            (1e-3, 0.05, 1024, 9, 0.1)}[cfg.optim_wrapper.optimizer.type]  # 10b
    assert [step.type for step in schedule] == ['LinearLR', 'CosineAnnealingLR']
    assert schedule[0].end == (5 if kind[2] == 2048 else 20)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, cfg.auto_scale_lr.base_batch_size,
            steps['RandAugment'].magnitude_level, backbone.drop_path_rate) == kind
    assert head.loss.label_smooth_val == 0.1 and steps['RandomErasing'].erase_prob == 0.25
    assert cfg.student.train_cfg.max_epochs == 300


@each([path for path in PATHS if '-advanced' not in path.stem and 'swin-s' not in path.stem])
def test_student_has_its_size_and_the_last_stages_that_are_named(path):
    cfg = read(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        student = MODELS.build(cfg.compression.student_architecture.to_dict())
    assert sum(p.numel() for p in student.parameters()) == PARAMETERS[student_of(path)]
    names = [name for name, _ in student.named_modules()]
    early, last = cfg.model.losses.scalekd.student_layers
    assert names.index(early) < names.index(last)


def test_any_method_takes_the_term_by_one_option():
    cfg = Config.fromfile(CONFIGS / 'amd' / 'vit-micro_cifar100.py')
    cfg.merge_from_dict({'model.losses.scalekd.type': 'mmamd.ScaleKDLoss', 'model.losses.logit.weight': 0,
                         'teacher_cache': None, 'model.losses.ce.weight': 0.5})
    assert Settings.from_cfg(cfg).method == AMD()
    assert Settings.from_cfg(read(PATHS[0])).method == KD()


# --- built and stepped ---

@each(ON_CIFAR)
def test_a_step_trains_the_student_and_what_teaches_it(path):
    distiller = distiller_of(path).train()
    assert distiller.terms['scalekd'].pairs[0][0][0] == read(path).model.losses.scalekd.student_layers[0]
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    samples = [DataSample().set_gt_label(label) for label in (3, 97)]
    found = distiller(images, samples, mode='loss', targets=distiller.teach(images, samples))
    sum(value for key, value in found.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in distiller.parameters())


@pytest.mark.parametrize('options, gmacs', [
    (dict(dfm=False, tpp=False), '0.048'), (dict(tpp=False), '0.096'), (dict(dfm=False), '0.138'), ({}, '0.276')])
def test_parts_cost_what_the_documentation_says(options, gmacs):
    path = CONFIGS / 'scalekd' / 'vit-micro_resnet20_cifar100.py'
    term = distiller_of(path, losses=dict(
        scalekd={**read(path).model.losses.scalekd.to_dict(), **options})).terms['scalekd']
    page = (CONFIGS.parent / 'docs' / 'scalekd.md').read_text()
    row, = re.findall(r'^[|] ViT-micro to ResNet-20 [|](.*)[|]$', page, re.MULTILINE)
    *costs, parameters = [cell.strip() for cell in row.split('|')[2:]]
    assert f'{term.macs / 1e9:.3f}' == gmacs and gmacs in costs
    if not options:
        assert f'{sum(p.numel() for p in term.parameters()) / 1e6:.1f} M' == parameters


@pytest.mark.slow
@each([path for path in PATHS if path not in ON_CIFAR])
def test_distiller_is_built_at_full_size(path, monkeypatch):
    # Where numbers have no value: those of labels for the task's loss, of colours for how the networks see them.
    monkeypatch.setattr('mmamd.distillation.distiller.renormalisations', lambda *_: [torch.nn.Identity()])
    with meta_device():
        distiller = distiller_of(path, losses=dict(scalekd=read(path).model.losses.scalekd.to_dict()))
        cost = profiled_cost(distiller.network, distiller.teacher.backbone.input_shape)
    share = cost.macs / profiled_cost_of_teacher(path)
    assert abs(share - read(path).compression.student_scale) <= 0.005
    term = distiller.terms['scalekd']
    forms = [(paths.early_form.num_tokens, paths.form.num_tokens) for paths in term.paths[0].values()]
    assert forms == [(196, 49)] * 2, "Swin's last two stages at 224 px: 14 x 14 and 7 x 7"


@cache
def profiled_cost_of_teacher(path):
    """MACs of the teacher of a config."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        network = MODELS.build(read(path).model.architecture.to_dict())
        return profiled_cost(network, network.backbone.input_shape).macs


# --- the linear probe ---

def test_a_probe_trains_a_head_on_a_student_that_stays_as_it_is(tmp_path):
    """Built small: of its weights the backbone takes all, and what it gives is the same in every step."""
    cfg = copy.deepcopy(read(PROBE))
    student = read(CONFIGS / 'scalekd' / f'{Path(cfg.model.backbone.init_cfg.checkpoint).parts[1]}.py')
    own = student.compression.student_architecture.backbone
    small = dict(arch=dict(embed_dims=24, num_layers=12, num_heads=2, feedforward_channels=24), img_size=32)
    probed = {**cfg.model.backbone, **small}
    assert {**own, **small, 'drop_path_rate': 0.} == {
        key: probed[key] for key in probed.keys() - {'frozen_stages', 'init_cfg'}}
    file = tmp_path / 'student.pth'
    cfg.model.backbone.update(small)
    cfg.model.backbone.init_cfg.checkpoint, cfg.model.head.in_channels = str(file), 24
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(dict(cfg.model, backbone=dict(cfg.model.backbone, init_cfg=None, frozen_stages=-1)))
        torch.save(plain.state_dict(), file)
        network = MODELS.build(cfg.model)
    network.init_weights()
    network.train()  # as the host does before a training
    images, samples = torch.randn(4, 3, 32, 32), [DataSample().set_gt_label(i) for i in range(4)]
    before, first = copy.deepcopy(network.state_dict()), network.extract_feat(images)[-1]
    optimizer = torch.optim.SGD(network.parameters(), lr=cfg.optim_wrapper.optimizer.lr)
    network.loss(images, samples)['loss'].backward()
    optimizer.step()
    torch.testing.assert_close(network.extract_feat(images)[-1], first, rtol=0, atol=0)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {'head.layers.head.weight', 'head.layers.head.bias'}
    assert all(torch.equal(before[key], value) for key, value in plain.state_dict().items() if 'backbone' in key)


def test_a_probe_learns_from_few_images_that_are_not_held_out():
    data = read(PROBE).train_dataloader
    assert (data.dataset.type, data.dataset.dataset.type, data.dataset.dataset.part) == (
        'mmamd.FewShot', 'mmamd.HoldOut', 'train')
    assert data.sampler.type == 'InfiniteSampler' and not data.drop_last, 'one shot is fewer images than a batch'
