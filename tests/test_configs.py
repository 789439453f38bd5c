"""Every shipped config is found by its name, says what it is, loads, builds its network, and runs when made small."""

import ast
import copy
import functools
import inspect
import pickle
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from meta_device import meta_device
from mmengine.config import Config, ConfigDict
from mmengine.dataset import base_dataset as host_dataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.runner import runner as host_runner
from mmengine.utils import get_installed_path
from mmpretrain.apis import ModelHub, list_models
from mmpretrain.datasets import CIFAR10, CIFAR100
from mmpretrain.registry import MODELS

import mmamd
from mmamd.distillation.sandwich_hook import SandwichSparsityHook
from mmamd.methods import AMD, KD
from mmamd.pipeline.config.keys import check_config
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.inputs import fill_data_root, leaf_datasets
from mmamd.pipeline.stages.expected import expected_scale_sum
from mmamd.weights.checkpoint import check_start

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / 'configs'
# Those of segmentation, which need another host, have a test file of their own.
SHIPPED = sorted(path for path in CONFIGS.rglob('*.py') if not {'_base_', 'segmentation'} & set(path.parts))
COMPRESSIONS = sorted((CONFIGS / 'amd').glob('*.py'))
TEACHERS = sorted((CONFIGS / 'teacher').glob('*.py'))
NETWORKS = ('deit-b_imagenet', 'deit-s_imagenet', 'resnet20_cifar100', 'resnet50_imagenet', 'resnet56_cifar100',
            'swin-b_cifar100', 'swin-b_imagenet', 'swin-l_cifar100', 'swin-l_imagenet', 'swin-micro_cifar100',
            'swin-s_cifar100', 'swin-s_imagenet', 'swin-t_cifar100', 'swin-t_imagenet', 'vgg13_cifar100',
            'vit-b_cifar10', 'vit-b_cifar100', 'vit-b_imagenet', 'vit-l_imagenet', 'vit-micro_cifar100',
            'vit-s-p4_cifar100', 'vit-s_cifar100', 'vit-tiny_digits', 'wrn-40-2_cifar100')
BASELINES = ('resnet20_cifar100', 'swin-micro_cifar100', 'vit-micro_cifar100')  # those that have a result of their own


def is_transfer(path):
    """Whether a config goes on from a student that another run has made."""
    return path.stem.startswith('transfer_')


def each(paths):
    """Parametrise a test over configs, each named by its stem."""
    return pytest.mark.parametrize('path', paths, ids=lambda path: path.stem)


@functools.cache
def read(path):
    """The config of a file, read once. Not to be changed."""
    return Config.fromfile(path)


def network_of(path):
    """Name of the network that a config compresses, trains or teaches with: not the second of a pair."""
    teacher, *_, data = re.sub('^(search_)?(kd|kd-kept|teacher|kd-zero|distpro)_', '', path.stem).split('_')
    return f'{teacher}_{data}'


def test_each_network_has_a_compression_and_a_teacher_and_those_with_a_result_a_baseline():
    names = {path.relative_to(CONFIGS).as_posix() for path in SHIPPED
             if path.parent.name in ('amd', 'kd', 'teacher')}
    assert names == {*(f'amd/{network}.py' for network in NETWORKS), *(f'kd/kd_{network}.py' for network in BASELINES),
                     *(f'teacher/teacher_{network}.py' for network in NETWORKS), 'kd/kd-kept_vit-micro_cifar100.py'}
    assert len(names) == 52


def test_what_won_at_equal_cost_asks_who_teaches_once_and_has_amds_cost_and_no_labels():
    """Of the record of 2026-11-27: one training of the recipe's budget, from cut weights, by stored logits alone."""
    cfg, amd = (Config.fromfile(CONFIGS / name) for name in (
        'kd/kd-kept_vit-micro_cifar100.py', 'amd/vit-micro_cifar100.py'))
    assert (cfg.method.type, cfg.compression.refit, cfg.teacher_cache.views) == ('mmamd.KD', None, 2)
    assert {name: term.weight for name, term in cfg.model.losses.items()} == dict(ce=0, logit=1, feat=0)
    assert cfg.compression.budget == amd.compression.budget == 1 and cfg.student == amd.student


def test_mim_finds_one_file_of_each_name():
    """It searches all that is installed, bases and modules too, by the name without folder; so is a work_dir named."""
    found = Counter(path.name for folder in ('configs', 'mmamd', 'tools') for path in (ROOT / folder).rglob('*.py')
                    if '.mim' not in path.parts)
    assert not {path.name: found[path.name] for path in SHIPPED if found[path.name] > 1}


@each([path for path in sorted(CONFIGS.rglob('*.py')) if 'SandwichSparsityHook' in path.read_text()])
def test_a_sampler_other_than_the_default_is_said_to_be_one(path):
    """Right above it, or in its line, by the default's name."""
    default = inspect.signature(SandwichSparsityHook).parameters['sampler'].default
    above = ''
    for line in path.read_text().splitlines():
        sampler = re.search(r"SandwichSparsityHook', sampler='(\w+)'", line)
        if sampler and sampler[1] != default:
            assert f'`{default}`' in above + line
        above = above + line if line.strip().startswith('#') else ''


# --- the recipe card: the docstring of every config ---

COMMON = ('Paper', 'Row', 'Command', 'Hardware', 'Schedule', 'Measured')


def card_of(path):
    """What a config makes of what, and the fields of its docstring."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    title, _, body = text.partition('\n')
    parts = re.split(r'^([A-Z][a-z]+): ', body, flags=re.MULTILINE)[1:]
    assert len(set(parts[::2])) == len(parts[::2]), f'{path.name} has a field twice'
    return title, {name: ' '.join(value.split()) for name, value in zip(parts[::2], parts[1::2], strict=True)}


@each(SHIPPED)
def test_recipe_card_has_every_field(path):
    title, card = card_of(path)
    assert re.fullmatch(r'.+ -> .+[.]', title)
    third = 'Weights' if path.parent.name == 'teacher' or is_transfer(path) else 'Teacher'
    assert tuple(card) == (*COMMON[:2], third, *COMMON[2:])
    assert all(card.values())


@each(SHIPPED)
def test_recipe_card_names_files_that_exist_and_the_config_itself(path):
    title, card = card_of(path)
    named = re.findall(r'\b(?:configs|tools|results)/[\w./-]+\w', ' '.join([title, *card.values()]))
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert path.relative_to(ROOT).as_posix() in card['Command']


@each(SHIPPED)
def test_recipe_card_says_where_a_figure_was_measured(path):
    measured = card_of(path)[1]['Measured']
    if measured.startswith('not run.'):
        assert '%' not in measured
    else:
        source, figure = re.match(r'([\w./-]+\w).*?test top-1 (\d\d\.\d\d) %', measured).groups()
        assert (ROOT / source).suffix == '.sh' or figure in (ROOT / source).read_text()


@each(SHIPPED)
def test_recipe_card_gives_the_schedule_of_the_config(path):
    cfg, schedule = read(path), card_of(path)[1]['Schedule']
    if path.parent.name == 'teacher':
        expected = [f'{cfg.train_cfg.max_epochs} epochs']
    elif is_transfer(path):
        expected = [f'{cfg.train_cfg.max_iters:,} steps']
    elif path.parent.name in ('kd', 'scalekd', 'kd_zero', 'distpro'):
        cost = ' at the cost of' if cfg.compression.get('budget') else ''
        expected = [f'student{cost} {cfg.student.train_cfg.max_epochs} epochs']
    else:
        joint, student = (cfg[stage].train_cfg.max_epochs for stage in ('joint', 'student'))
        cost = ' at the cost of' if cfg.compression.get('budget') else ''
        expected = ([f'candidates refit in closed form, student{cost} {student} epochs'] if cfg.compression.get('refit')
                    else [f'joint stage {joint} epochs, student {student}'])
    if path.parent.name != 'kd':
        rate = f'{cfg.optim_wrapper.optimizer.lr:.1e}'.replace('.0e', 'e').replace('e-0', 'e-')
        expected += [f'{cfg.optim_wrapper.optimizer.type}, {rate}',
                     f'{cfg.auto_scale_lr.base_batch_size:,} images a step']
    assert [text for text in expected if text not in schedule] == []


@each(COMPRESSIONS)
def test_title_of_a_compression_is_what_it_does(path):
    cfg = read(path)
    assert f'-> {cfg.compression.student_scale:.0%}'.replace('%', ' % of its MACs on ') in card_of(path)[0]
    assert cfg.compression.scale_by == 'flops'


@each([path for path in [*COMPRESSIONS, *TEACHERS]
        if network_of(path) in ('resnet56_cifar100', 'vgg13_cifar100', 'wrn-40-2_cifar100')])
def test_networks_of_the_papers_table_7_are_trained_by_crds_protocol(path):
    # Tian et al. 2020: SGD, 240 epochs of batches of 64, lr 0.05, a tenth after 150, 180 and 210, weight decay 5e-4.
    cfg = read(path)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 64
    for stage in [cfg] if path.parent.name == 'teacher' else [cfg.joint, cfg.student]:
        assert stage.train_cfg.max_epochs == 240
        assert [(part.milestones, part.gamma) for part in stage.param_scheduler] == [([150, 180, 210], 0.1)]


@each([path for path in COMPRESSIONS if 'methods/amd.py' in path.read_text()])
def test_method_of_the_transformers_costs_about_twice_plain_distillation(path):
    # In units of the teacher's forward pass, with an assistant of half its size; docs/costs.md.
    cfg = read(path)
    settings = Settings.from_cfg(cfg)
    scales, student_scale = settings.compression.family_scales, settings.compression.student_scale
    joint = cfg.joint.train_cfg.max_epochs * (1 + 3 * expected_scale_sum(scales, settings.sampler))
    student, kd = (cfg.student.train_cfg.max_epochs * (teacher + 3 * student_scale) for teacher in (0.5, 1.))
    assert (joint + student) / kd <= 2.2


# --- what they say to each other ---

@each(SHIPPED)
def test_config_loads_and_judges_candidates_on_held_out_training_images(path):
    cfg = read(path)
    # Three data sets, no two of them the same images: (split or annotation file, part of the hold-out).
    images = [_images(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val', 'test')]
    assert len(set(images)) == 3, images
    assert images[1] in {('train', 'held_out'), ('meta/select.txt', None)}
    assert images[2] in {('test', None), ('meta/test.txt', None), ('val', None)}
    assert ('val' in images[2]) == path.stem.endswith('_imagenet')  # whose test images have no labels
    assert not any(cfg[f'{part}_dataloader'].persistent_workers for part in ('train', 'val', 'test'))


@each(sorted((CONFIGS / 'kd').glob('kd_*.py')))
def test_baseline_is_plain_and_differs_from_its_compression_in_nothing_else(path):
    baseline = read(path).to_dict()
    compression = read(CONFIGS / 'amd' / f'{network_of(path)}.py').to_dict()
    assert baseline.pop('method') == dict(type='mmamd.KD')
    assert compression.pop('method') == dict(type='mmamd.AMD')
    # What a compression may have beyond plain distillation; kept outputs have no L_feat, and no L_ce.
    assert not any([baseline.pop('teacher_cache', None), *(baseline['compression'].pop(key, None) for key in (
        'refit', 'budget'))])
    compression.pop('teacher_cache', None)
    for key in ('refit', 'budget'):
        compression['compression'].pop(key, None)
    for term in ('ce', 'feat'):
        assert baseline['model']['losses'][term].pop('weight') > 0
        compression['model']['losses'][term].pop('weight')
    assert baseline == compression


@each(COMPRESSIONS)
def test_baseline_of_any_compression_is_one_option(path):
    cfg = copy.deepcopy(read(path))
    assert Settings.from_cfg(cfg).method == AMD()
    cfg.merge_from_dict({'method.type': 'mmamd.KD'})
    assert Settings.from_cfg(cfg).method == KD()


def test_no_variable_of_the_hosts_configs_is_taken_for_a_mistyped_key():
    # A recipe may inherit any of them; their variables are then keys of ours.
    root = Path(get_installed_path('mmpretrain'), '.mim', 'configs')
    targets = [target for path in root.rglob('*.py') for node in ast.parse(path.read_text()).body
               if isinstance(node, ast.Assign) for target in node.targets]
    names = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    assert {'model', 'train_dataloader', 'bgr_mean'} <= names
    refused = {}
    for name in sorted(names):
        try:
            check_config({name: None})
        except ValueError as error:  # None is no value of each of them
            if 'which nothing reads' in str(error):
                refused[name] = str(error)
    assert refused == {}


@each(TEACHERS)
def test_teacher_is_the_network_that_its_compression_distils(path):
    recipe = CONFIGS / 'amd' / f'{network_of(path)}.py'
    compression = read(recipe)
    teacher = read(path).model.to_dict()
    for key in ('train_cfg', 'init_cfg'):  # how it is trained
        teacher.pop(key, None)
    architecture = compression.model.architecture.to_dict()
    for network in (teacher, architecture):
        network['backbone'].pop('drop_path_rate', None)
    assert teacher == architecture
    trained_to = f'work_dirs/{path.stem}/teacher.pth'
    if compression.get('teacher_config'):
        assert Path(compression.teacher_config).resolve() == path.resolve()
    elif compression.model.teacher != trained_to:
        assert f'--cfg-options model.teacher={trained_to}' in card_of(recipe)[1]['Teacher']


@each(TEACHERS)
def test_teacher_sees_its_images_as_the_compression_does(path):
    teacher, compression = read(path), read(CONFIGS / 'amd' / f'{network_of(path)}.py')
    assert teacher.data_preprocessor == compression.data_preprocessor
    assert teacher.test_dataloader == compression.test_dataloader
    own, own_steps = _without_pipeline(teacher.train_dataloader)
    other, other_steps = _without_pipeline(compression.train_dataloader)
    assert own == other
    assert [step for step in own_steps if step in other_steps] == other_steps  # from scratch it may augment more


def _without_pipeline(loader: dict) -> tuple[dict, list[dict]]:
    dataset = copy.deepcopy(loader['dataset'])
    return dataset, dataset.get('dataset', dataset).pop('pipeline')


def _images(dataset: dict) -> tuple[str, str | None]:
    if dataset.type == 'mmamd.FewShot':
        dataset = dataset.dataset
    source = dataset.get('dataset', dataset)
    return source.get('split') or source.get('ann_file') or source.data_prefix, dataset.get('part')


# --- the networks, at full size ---

# With 1,000 classes the figures that MMPretrain publishes; fewer classes by hand, each a row of weights and a bias.
PARAMETERS = {
    'vit-b_cifar10': 86_567_656 - 990 * 769, 'vit-b_cifar100': 86_567_656 - 900 * 769, 'vit-b_imagenet': 86_567_656,
    'vit-l_imagenet': 304_326_632, 'vit-s_cifar100': 22_050_664 - 900 * 385, 'deit-s_imagenet': 22_050_664,
    # 64 patches of 4 px and a class token
    'vit-s-p4_cifar100': 22_050_664 - 900 * 385 - 720 * 384 - (197 - 65) * 384,
    'deit-b_imagenet': 86_567_656, 'vit-micro_cifar100': 1_614_308, 'vit-tiny_digits': 402_762,
    # In the paper's Table 7: 0.86 M, 9.46 M and 2.26 M.
    'resnet50_imagenet': 25_557_032, 'resnet56_cifar100': 861_620, 'vgg13_cifar100': 9_462_180,
    'wrn-40-2_cifar100': 2_255_156, 'resnet20_cifar100': 278_324, 'resnet34_imagenet': 21_797_672,
    'resnet110_cifar100': 1_736_564, 'resnet32x4_cifar100': 7_433_860,  # CRD's
    'swin-t_cifar100': 28_288_354 - 900 * 769, 'swin-t_imagenet': 28_288_354,
    'swin-s_cifar100': 49_606_258 - 900 * 769, 'swin-s_imagenet': 49_606_258,
    'swin-b_cifar100': 87_768_224 - 900 * 1025, 'swin-b_imagenet': 87_768_224,
    'swin-l_cifar100': 196_532_476 - 900 * 1537, 'swin-l_imagenet': 196_532_476, 'swin-micro_cifar100': 1_509_994}


def on_meta(model):
    """The network of a config, with shapes and without memory."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        return MODELS.build(copy.deepcopy(model))  # the host writes defaults into what it builds from


def shapes_of(model):
    return {key: tuple(value.shape) for key, value in on_meta(model).state_dict().items()}


@each([path for path in SHIPPED if path.parent.name not in ('scalekd', 'distpro')])  # tests of their own build these
def test_config_builds_its_network_at_full_size(path):
    cfg = read(path)
    network = on_meta(cfg.model.get('architecture', cfg.model))
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[network_of(path)]
    if 'digits' in path.stem:
        # At least 48 heads, so that a tenth of the MACs still leaves some to choose from.
        assert sum(group.count for group in network.backbone.unit_groups() if group.kind == 'head') >= 48


# --- published weights fit ---

ZOO = set(list_models())
FROM_ZOO = [path for path in COMPRESSIONS if read(path).model.teacher in ZOO]
FINE_TUNED = [path for path in TEACHERS if read(path).load_from]
ELASTIC = {('VisionTransformer', 'mmamd.MaskedViT'), ('SwinTransformer', 'mmamd.MaskedSwin'),
           ('ResNet', 'mmamd.MaskedResNet')}
# Arguments that weights and predictions do not depend on.
IN_TRAINING_ONLY = {'drop_rate', 'drop_path_rate', 'init_cfg'}


def test_imagenet_teachers_are_keys_of_the_zoo_and_the_others_are_trained():
    assert [path.stem for path in FROM_ZOO] == [name for name in NETWORKS if name.endswith('_imagenet')]


@each(FROM_ZOO)
def test_zoo_teacher_is_the_network_of_the_config(path):
    cfg = read(path)
    entry = ModelHub.get(cfg.model.teacher)
    assert entry.weights.startswith('https://')
    ours, theirs = cfg.model.architecture, entry.config.model
    assert shapes_of(ours) == shapes_of(theirs)
    assert (theirs.backbone.type, ours.backbone.type) in ELASTIC
    same = on_meta(ours).backbone, on_meta(theirs).backbone
    for attribute in ('img_size', 'out_type', 'final_norm', 'with_cls_token', 'pre_norm'):
        # A LayerNorm has no value to compare: its shape and its epsilon are.
        if hasattr(same[1], attribute):  # a ResNet has none of them
            assert repr(getattr(same[0], attribute)) == repr(getattr(same[1], attribute)), attribute
    for ours_layer, theirs_layer in zip(*(getattr(backbone, 'layers', []) for backbone in same), strict=True):
        assert ours_layer.attn.count == theirs_layer.attn.num_heads
        assert repr(ours_layer.ln1) == repr(theirs_layer.ln1)
    arguments = {key: value for key, value in theirs.backbone.items() if key not in IN_TRAINING_ONLY | {'type', 'arch'}}
    assert {key: ours.backbone.get(key) for key in arguments} == arguments


@each(FROM_ZOO)
def test_zoo_teacher_sees_its_images_as_it_was_trained_to(path):
    cfg = read(path)
    theirs = ModelHub.get(cfg.model.teacher).config
    for key in ('mean', 'std', 'to_rgb'):
        assert cfg.data_preprocessor[key] == theirs.data_preprocessor[key]
    assert cfg.test_dataloader.dataset.pipeline == theirs.test_dataloader.dataset.pipeline


@each(FINE_TUNED)
def test_fine_tuning_starts_from_published_weights_of_the_same_backbone(path):
    cfg = read(path)
    if cfg.load_from.startswith('timm:'):
        if find_spec('timm') is None:
            pytest.skip('timm is not installed')
        check_start(on_meta(cfg.model), cfg.load_from)
        return
    entry = ModelHub.get(cfg.load_from)
    assert entry.weights
    # The head starts anew where the classes differ, and the position embedding is resized.
    ours, theirs = ({key: shape for key, shape in shapes_of(model).items()
                     if not key.startswith('head.') and key != 'backbone.pos_embed'}
                    for model in (cfg.model, entry.config.model))
    assert ours == theirs


# --- a whole run of each, made small ---

# 6 blocks of 6 heads: deep enough for nine candidates, the fixed part below a tenth of the MACs at 4 x 4 patches.
SMALL_VIT = dict(embed_dims=48, num_layers=6, num_heads=6, feedforward_channels=192)
# Type of a backbone -> a small one, and the width that its head reads.
SMALL_WRN = dict(type='mmamd.MaskedWideResNet', depth=16), 64
SMALL = {'mmamd.MaskedResNet': (dict(type='mmamd.MaskedResNet', depth=18, img_size=32, base_channels=16,
                                     stem_channels=16), 128),
         # 9 blocks, 6 of them of 4 heads, over 16 x 16 to 2 x 2 patches.
         'mmamd.MaskedSwin': (dict(type='mmamd.MaskedSwin', img_size=32, patch_size=2, window_size=2, arch=dict(
             embed_dims=12, depths=[1, 1, 6, 1], num_heads=[1, 2, 4, 8])), 96),
         **dict.fromkeys(('mmamd.MaskedWideResNet', 'mmamd.MaskedCifarResNet', 'mmamd.MaskedCifarVGG'), SMALL_WRN)}
STUDENT_OF_SMALL_WRN = ConfigDict(
    type='ImageClassifier', backbone=dict(type='mmamd.WideResNet', depth=10),
    neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
STAGES_OF_WRN = [('backbone.stages.0', 'backbone.stages.0')]
SIZES = {'Resize': dict(scale=(32, 32)), 'RandomResizedCrop': dict(scale=32), 'ResizeEdge': dict(scale=36),
         'CenterCrop': dict(crop_size=32)}


@pytest.fixture(scope='module', autouse=True)
def quick_runs():
    """Leave out what a tiny run spends most of its time on, and what is the same for every config.

    The host formats its config and asks the compiler's version for every Runner, and collects garbage with every data
    set; pictures are made, and not rendered.
    """
    environment = functools.lru_cache(host_runner.collect_env)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasAgg, 'draw', lambda canvas: setattr(canvas, 'renderer', canvas.get_renderer()))
        patch.setattr(Figure, 'savefig', lambda figure, target, **kwargs: (
            Path(target).write_bytes(b'') if isinstance(target, str | Path) else target.write(b'')))
        patch.setattr(host_runner, 'collect_env', lambda: dict(environment()))
        patch.setattr(host_dataset, 'gc', SimpleNamespace(collect=lambda: None))
        patch.setattr(Config, 'pretty_text', property(lambda cfg: ''.join(
            f'{key} = {value!r}\n' for key, value in cfg.to_dict().items())))
        yield


@pytest.fixture(scope='session')
def images_root(tmp_path_factory):
    """A stand-in of two classes for every data set: CIFAR's pickles, and folders like CIFAR-100's and ImageNet's."""
    root = tmp_path_factory.mktemp('images')
    images_NHWC = np.random.default_rng(0).integers(0, 256, (44, 32, 32, 3), dtype=np.uint8)
    labels = [i % 2 for i in range(44)]
    lists = {'train': range(32), 'select': range(32, 36), 'test': range(36, 40), 'val': range(36, 40)}
    for name, numbers in lists.items():
        lines = [f'c{labels[i]}/{i}.png {labels[i]}' for i in numbers]
        for i, line in zip(numbers, lines, strict=True):
            mmcv.imwrite(images_NHWC[i], str(root / name.replace('select', 'train') / line.split()[0]))
        (root / 'meta').mkdir(exist_ok=True)
        (root / 'meta' / f'{name}.txt').write_text('\n'.join(lines) + '\n')
    for i in range(98):  # where a data set takes its classes from the folders, it has as many as CIFAR-100
        (root / 'train' / f'empty_{i}').mkdir()
    flat = images_NHWC.transpose(0, 3, 1, 2).reshape(44, -1)
    pickles = {'cifar-100-python/train': dict(data=flat[:40], fine_labels=labels[:40]),
               'cifar-100-python/test': dict(data=flat[40:], fine_labels=labels[40:]),
               'cifar-100-python/meta': dict(fine_label_names=[f'class {i}' for i in range(100)]),
               'cifar-10-batches-py/test_batch': dict(data=flat[40:], labels=labels[40:])}
    pickles |= {f'cifar-10-batches-py/data_batch_{i + 1}': dict(data=flat[8 * i:8 * i + 8], labels=labels[:8])
                for i in range(5)}
    for name, content in pickles.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(pickle.dumps(content))
    return root


@pytest.fixture
def make_small(images_root, tmp_path, monkeypatch):
    """Function that takes a config's size and nothing else: network, images, batches, epochs."""
    monkeypatch.setattr(CIFAR10, '_check_integrity', lambda self: True)  # of the real files' checksums, CIFAR-100's too
    monkeypatch.setitem(CIFAR100.meta, 'md5', None)

    def shrink(cfg):
        if 'data_root' in cfg:
            cfg.data_root = str(images_root)
        model = cfg.model.get('architecture', cfg.model)
        if cfg.get('compression', {}).get('student_architecture'):
            cfg.compression.student_architecture = copy.deepcopy(STUDENT_OF_SMALL_WRN)
            cfg.compression.student_scale = 0.47  # 12.51 of 26.66 MMACs
            cfg.student.losses.feat.layers = STAGES_OF_WRN
        if model.backbone.type in SMALL:
            backbone, model.head.in_channels = SMALL[model.backbone.type]
            model.backbone = ConfigDict(copy.deepcopy(backbone))
        elif model.backbone.patch_size != 2:  # the digits' is small as it is
            model.backbone.update(arch=dict(SMALL_VIT), img_size=32, patch_size=8)
            model.head.in_channels = SMALL_VIT['embed_dims']
        for split in ('train', 'val', 'test'):
            loader = cfg[f'{split}_dataloader']
            loader.update(batch_size=4, num_workers=0)
            if 'every' in loader.dataset:
                loader.dataset.every = min(loader.dataset.every, 10)  # a class has 16 images
            for dataset in leaf_datasets(loader.dataset):
                if dataset.type == 'mmamd.Digits':
                    dataset.indices = 60 if split != 'test' else 4
                for transform in dataset.pipeline:
                    if transform.type in SIZES:
                        transform.update(SIZES[transform.type])
        cfg.train_dataloader.batch_size = 28  # one step an epoch
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


# These differ from the second in the size of the network and its teacher alone, so made small they are the same run.
ALIKE = {**{f'swin-{size}_{data}': f'swin-t_{data}' for size in 'sbl' for data in ('cifar100', 'imagenet')},
         'vit-s_cifar100': 'vit-b_cifar100', 'vit-l_imagenet': 'vit-b_imagenet', 'deit-s_imagenet': 'vit-b_imagenet',
         'deit-b_imagenet': 'vit-b_imagenet', 'resnet56_cifar100': 'wrn-40-2_cifar100',
         'vgg13_cifar100': 'wrn-40-2_cifar100'}


@each([path for path in COMPRESSIONS if path.stem in ALIKE])
def test_compression_is_when_made_small_one_that_is_run(path, make_small):
    one, other = (make_small(Config.fromfile(recipe)).to_dict()
                  for recipe in (path, path.with_stem(ALIKE[path.stem])))
    for cfg in (one, other):
        for key in ('architecture', 'student_architecture', 'connect'):  # what the base was, before it was made small
            cfg.pop(key, None)
        cfg['model'].pop('teacher')
    assert one == other


@each([path for path in SHIPPED if path.parent.name in ('amd', 'kd') and network_of(path) not in ALIKE])
def test_compression_goes_through_all_its_stages(path, make_small, tmp_path):
    cfg = make_small(Config.fromfile(path))
    cfg.model.teacher = random_teacher(cfg.model.architecture, tmp_path / 'teacher.pth')
    cfg.compression.importance.update(num_images=4, check_teacher=False)  # of random weights
    cfg.compression.pop('budget', None)  # of images that are not there
    for stage in (cfg.joint, cfg.student):
        stage.train_cfg.max_epochs = 1
    scale = cfg.compression.student_scale
    summary = mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert len(summary['selections']) == (0 if path.parent.name == 'kd' else 1)
    for found in summary['selections']:
        assert len(found['candidates']) == 1 + sum(i / (cfg.compression.num_candidates + 1) > scale + 1e-4
                                                   for i in range(1, cfg.compression.num_candidates + 1))
    # Another architecture has its scale but for rounding.
    rounding = 0.005 if cfg.compression.get('student_architecture') else 0.
    assert summary['student']['macs'] <= (scale + rounding) * summary['teacher']['macs']
    assert mmamd.load_student(tmp_path / 'run') is not None


def test_baseline_of_a_student_of_another_architecture_goes_through_its_stages(make_small, tmp_path):
    cfg = make_small(Config.fromfile(CONFIGS / 'amd' / 'wrn-40-2_cifar100.py'))
    cfg.merge_from_dict({'method.type': 'mmamd.KD', 'model.losses.feat.weight': 0, 'student.train_cfg.max_epochs': 1,
                         'compression.importance.check_teacher': False})
    cfg.model.teacher = random_teacher(cfg.model.architecture, tmp_path / 'teacher.pth')
    summary = mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert list(summary['stages']) == ['score', 'nest', 'student', 'export']
    assert summary['cost']['trainings'] == 1
    assert type(mmamd.load_student(tmp_path / 'run').backbone).__name__ == 'WideResNet'


@each(TEACHERS)
def test_teacher_trains_to_the_file_that_its_compression_reads(path, make_small, tmp_path):
    cfg = make_small(Config.fromfile(path))
    fill_data_root(cfg)
    cfg.update(work_dir=str(tmp_path), load_from=None, experiment_name=path.stem)
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler = [part for part in cfg.param_scheduler if part.get('begin', 0) < 1]  # what begins by then
    Runner.from_cfg(cfg).train()
    saved = tmp_path / ('epoch_1.pth' if 'digits' in path.stem else 'teacher.pth')
    compression = Config.fromfile(CONFIGS / 'amd' / f'{network_of(path)}.py')
    distiller = make_small(compression).model
    distiller.teacher = str(saved)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(distiller)  # refuses weights of another network
