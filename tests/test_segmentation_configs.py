"""Every shipped config of segmentation is found by its name, says what it is, and fits to those beside it."""

import ast
import copy
import functools
import math
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from meta_device import meta_device
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from mmamd.files.run_config import write_run_config
from mmamd.pruning.complexity import network_cost
from mmamd.registry import MODELS
from mmamd.structures import Cost, Network
from mmamd.weights.networks import save_networks

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / 'configs' / 'segmentation').glob('*.py'))
TEACHERS = [path for path in CONFIGS if path.stem.startswith('teacher_')]
BASELINES = [path for path in CONFIGS if path.stem.startswith('kd_')]
TRANSFERS = [path for path in CONFIGS if path.stem.startswith('transfer_') and path.stem.endswith('_cityscapes')]
TUNED = [path for path in CONFIGS if path.stem.startswith('transfer_') and path not in TRANSFERS]  # of ScaleKD
PROCESSES = [path for path in CONFIGS if path.stem.startswith('distpro_')]
FOUND = [path for path in CONFIGS if path.stem.startswith('kd-zero_')]
COMPRESSIONS = [path for path in CONFIGS
                if path not in [*TEACHERS, *BASELINES, *TRANSFERS, *TUNED, *PROCESSES, *FOUND]]
TRAINED = [*TEACHERS, *TRANSFERS, *TUNED]  # one network by labels alone
ZOO = 'https://download.openmmlab.com/mmsegmentation/v0.5/'


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=lambda path: path.stem)


@functools.cache
def read(path):
    """The config of a file, read once. Not to be changed."""
    return Config.fromfile(path)


def recipe_of(path):
    """The compression that a teacher or a baseline belongs to."""
    return path.with_stem(path.stem.partition('_')[2])


def test_there_is_a_recipe_of_each_network_and_mim_finds_one_file_of_each_name():
    assert {path.stem for path in COMPRESSIONS} == {
        *(f'{network}_cityscapes' for network in ('psp_r101', 'deeplabv3_r101', 'upernet_vit-b', 'upernet_swin-t',
                                                  'segformer_mit-b2')),
        'psp_r101_ade20k', 'upernet_swin-t_ade20k',
        *(f'{network}_camvid' for network in ('psp_r18', 'segformer_mit-b0', 'upernet_vit-micro')), 'psp_r18_scenes'}
    assert {recipe_of(path) for path in BASELINES} <= set(COMPRESSIONS)
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
    third = 'Weights' if path in TRAINED else 'Teacher'
    assert tuple(card) == ('Paper', 'Row', third, 'Command', 'Hardware', 'Schedule', 'Measured') and all(card.values())
    assert path.relative_to(ROOT).as_posix() in card['Command']
    named = re.findall(r'\b(?:configs|tools|results)/[\w./-]+\w', text)
    assert [name for name in named if not (ROOT / name).is_file()] == []
    cfg = read(path)
    length = cfg.train_cfg if path in TRAINED else cfg.student.train_cfg
    said = f'{length.max_iters:,} steps' if 'max_iters' in length else f'{length.max_epochs} epochs'
    assert said in card['Schedule']
    if path in COMPRESSIONS + PROCESSES + FOUND:
        assert f'-> {cfg.compression.student_scale:.0%} of its backbone'.replace('%', ' %') in title


@each(CONFIGS)
def test_candidates_are_judged_on_held_out_blocks_of_training_frames(path):
    train, val, test = (read(path)[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test'))
    assert (train.part, val.part) == ('train', 'held_out') and train.block == val.block
    assert (val.block > 1) == (val.dataset.type != 'ADE20KDataset')  # which has no neighbours
    places = [(dataset.data_prefix, dataset.get('first', 0)) for dataset in (train.dataset, val.dataset, test)]
    assert train.every == val.every and places[0] == places[1] != places[2]


@each(BASELINES)
def test_baseline_differs_from_its_compression_in_the_method_alone(path):
    baseline, compression = (read(each).to_dict() for each in (path, recipe_of(path)))
    assert (baseline.pop('method'), compression.pop('method')) == (dict(type='mmamd.KD'), dict(type='mmamd.AMD'))
    assert baseline == compression


@each(PROCESSES)
def test_process_stands_in_the_place_of_the_features_of_a_baseline(path):
    found, baseline = read(path).to_dict(), read(path.with_stem(f'kd_{recipe_of(path).stem}')).to_dict()
    process = found['model']['losses'].pop('process')
    assert found['model']['losses']['feat'].pop('weight') == 0 < baseline['model']['losses']['feat'].pop('weight')
    assert found == baseline
    # Of another task: the run whose process it is has a recipe, and at least as many levels.
    recipe = read(ROOT / f"configs/distpro/{Path(process['file']).parts[1]}.py")
    assert Path(process['file']).parts[2:] == ('search', 'process.json') and recipe.search.type == 'mmamd.DistProSearch'
    assert len(process['layers']) == len(process['level_map'])
    assert [recipe.connect[level][0] for level in process['level_map']] == [own for own, _ in process['layers']]


@each(FOUND)
def test_found_distiller_stands_in_the_place_of_the_other_terms_of_a_baseline(path):
    cfg, baseline = (read(each).to_dict() for each in (path, path.with_stem(f'kd_{recipe_of(path).stem}')))
    assert cfg['model']['losses'].pop('found')['type'] == 'mmamd.GenomeLoss'
    for name in ('logit', 'feat'):
        weights = [each['model']['losses'][name].pop('weight') for each in (cfg, baseline)]
        assert weights[0] == 0 < weights[1]
    assert cfg == baseline


@pytest.mark.seg
@each(FOUND)
def test_found_distiller_teaches_a_segmentor(path):
    """A step on two small crops, pixel by pixel."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    model = copy.deepcopy(read(path).model.to_dict())
    model['architecture']['backbone']['img_size'] = (64, 64)
    teacher = dict(architecture=model['architecture'], weights=None)
    with DefaultScope.overwrite_default_scope('mmseg'):
        distiller = MODELS.build(model | dict(
            teacher=teacher, start=None, data_preprocessor=read(path).data_preprocessor.to_dict())).train()
    images = torch.randn(2, 3, 64, 64)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(11, (1, 64, 64)))) for _ in images]
    losses = distiller.loss(images, samples, distiller.teach(images, samples))
    found, = (value for name, value in losses.items() if 'found' in name)
    found.backward()
    gradients = [each.grad for each in distiller.network.parameters() if each.grad is not None]
    assert found > 0 and any(gradient.abs().sum() > 0 for gradient in gradients)


@each(COMPRESSIONS)
def test_teacher_is_the_zoos_or_has_a_recipe(path):
    cfg, recipe = read(path), path.with_stem(f'teacher_{path.stem}')
    teacher = cfg.model.teacher
    if teacher is None:
        assert Path(cfg.teacher_config).resolve() == recipe
    elif teacher.startswith('https://'):
        assert re.fullmatch(rf'{ZOO}\w+/(\w+[\w-]*)/\1_\d{{8}}_\d{{6}}-[0-9a-f]{{8}}[.]pth', teacher)
        assert recipe not in TEACHERS
    else:
        assert teacher == f'work_dirs/{recipe.stem}/teacher.pth' and recipe in TEACHERS


@each(TEACHERS)
def test_teacher_is_the_network_that_its_compression_distils_and_sees_the_same_images(path):
    teacher, compression = read(path), read(recipe_of(path))
    assert teacher.model == compression.model.architecture
    for key in ('data_preprocessor', 'train_dataloader', 'test_dataloader'):
        assert teacher[key] == compression[key]


@pytest.mark.seg
@each([path for path in COMPRESSIONS if path.stem.endswith(('_camvid', '_scenes'))])
def test_network_is_within_reach_of_a_cpu(path):
    assert network_cost(on_meta(path)).macs <= 3e9


# The zoo's model -> the recipe that takes it for its teacher.
OF_ZOO = {'pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024': 'psp_r101_cityscapes',
          'deeplabv3/deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024': 'deeplabv3_r101_cityscapes',
          'segformer/segformer_mit-b2_8xb1-160k_cityscapes-1024x1024': 'segformer_mit-b2_cityscapes',
          'pspnet/pspnet_r101-d8_4xb4-160k_ade20k-512x512': 'psp_r101_ade20k',
          'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512': 'upernet_swin-t_ade20k'}


@pytest.mark.seg
def test_the_recipes_whose_teacher_is_downloaded_are_those_of_the_zoo():
    assert {path.stem for path in COMPRESSIONS if str(read(path).model.teacher).startswith(ZOO)} == {
        *OF_ZOO.values()}


@pytest.mark.seg
@pytest.mark.parametrize('model, recipe', OF_ZOO.items(), ids=OF_ZOO.values())
def test_zoo_teacher_is_the_network_of_the_recipe_and_sees_the_same_images(model, recipe):
    zoo = Path(find_spec('mmseg').origin).with_name('.mim') / 'configs'
    folder, name = model.split('/')
    entry, = (each for each in yaml.safe_load((zoo / folder / 'metafile.yaml').read_text())['Models']
              if each['Name'] == name)
    ours, theirs = read(ROOT / f'configs/segmentation/{recipe}.py'), read(zoo / f'{model}.py')
    assert Path(ours.model.teacher).name == Path(entry['Weights']).name  # the forks keep the same files elsewhere
    network = {key: value for key, value in theirs.model.items() if key not in ('pretrained', 'data_preprocessor')}
    with DefaultScope.overwrite_default_scope('mmseg'), meta_device():
        host = MODELS.build(ConfigDict(copy.deepcopy(network)))
    assert shapes_of(on_meta(CONFIGS[0].with_stem(recipe))) == shapes_of(host)
    for key in ('mean', 'std', 'bgr_to_rgb'):
        assert ours.data_preprocessor[key] == theirs.model.data_preprocessor[key]
    assert ours.test_dataloader.dataset.pipeline == theirs.test_dataloader.dataset.pipeline


def on_meta(path):
    """The network of a recipe, with shapes and without memory."""
    model = read(path).model
    with DefaultScope.overwrite_default_scope('mmseg'), meta_device():
        return MODELS.build(copy.deepcopy(model.get('architecture', model)))


def shapes_of(network):
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


# --- backbones that were compressed on classification ---

def delivered(path, folder):
    """Make a run that has delivered what a transfer starts from, without its weights; returns what it has kept."""
    cfg = read(path)
    name = Path(cfg.model.backbone.run).name
    recipe = read(ROOT / f'configs/amd/{name}.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        network = MODELS.build(copy.deepcopy(recipe.model.architecture))
    kept = {group.name: max(1, group.count // 4) for group in network.backbone.unit_groups()}
    architecture = recipe.model.architecture.to_dict()
    architecture['backbone'].update(network.backbone.cut_arguments(kept))
    (folder / 'export').mkdir(parents=True)
    save_networks(folder, 'export', {'student': Network(architecture, 'student.pth', 0.15, None, Cost(0, 0))})
    write_run_config(recipe, folder)
    return kept


@pytest.mark.seg
@each(TRANSFERS)
def test_a_transfer_is_one_base_and_the_path_of_a_run(path, tmp_path):
    assert read(path).model.backbone.run.removeprefix('work_dirs/') in {
        found.stem for found in (ROOT / 'configs' / 'amd').glob('*.py')}
    mine = tmp_path / 'mine.py'
    mine.write_text(f"_base_ = ['{path}']\nmodel = dict(backbone=dict(run='{tmp_path / 'run'}'))\n")
    kept = delivered(path, tmp_path / 'run')
    network, whole = on_meta(mine), on_meta(path.with_stem('psp_r101_cityscapes'))
    assert network.backbone.input_shape == whole.backbone.input_shape
    assert network.backbone.init_cfg['checkpoint'] == 'student.pth'
    counts = {group.name: group.count for group in network.backbone.unit_groups()}
    assert 0 < len(counts) and {name: counts[name] for name in kept if name in counts} == {
        name: count for name, count in kept.items() if name in counts}
    with torch.device('meta'):  # heads and neck read what it gives
        logits = network(torch.zeros(2, 3, *network.backbone.input_shape[1:]), mode='tensor')
    assert logits.shape[:2] == (2, 19)


@pytest.mark.seg
@each(TUNED)
def test_a_student_of_scalekd_is_tuned_whole_each_part_at_its_rate(path):
    """Of its weights the backbone takes all that it has, and the rates of Table 11b fall from its end to its start."""
    cfg = read(path)
    found = cfg.model.backbone.init_cfg
    recipe = read(ROOT / f'configs/scalekd/{Path(found.checkpoint).parts[1]}.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        student = MODELS.build(copy.deepcopy(recipe.compression.student_architecture))
    network = on_meta(path)
    held = {key.removeprefix(found.prefix): shape for key, shape in shapes_of(student).items()
            if key.startswith(found.prefix)}
    own = shapes_of(network.backbone)
    assert {key for key in held.keys() - own.keys() if 'ln1' not in key} == set()  # the head's norm
    assert {key for key in own.keys() - held.keys() if 'norm' not in key} == set()  # of maps that no head has read
    resized = {'pos_embed', *(key for key in own if 'relative' in key)}
    assert all(own[key] == held[key] for key in own.keys() & held.keys() - resized)
    with torch.device('meta'):
        logits = network(torch.zeros(2, 3, 512, 512), mode='tensor')
    assert logits.shape[:2] == (2, 150)
    rates = [options.lr_mult for key, options in cfg.optim_wrapper.paramwise_cfg.custom_keys.items()
             if re.fullmatch(r'backbone[.](layers?|stages)[.]?\d+[.]?', key)]
    assert rates == sorted(rates) and rates[-1] == (0.6 if 'vit-b' in path.stem else 0.9) == pytest.approx(
        rates[-2] / rates[-1])
    assert all(any(key in name for name, _ in network.named_parameters())
               for key in cfg.optim_wrapper.paramwise_cfg.custom_keys)
    assert cfg.optim_wrapper.optimizer.lr == (2e-4 if 'vit-b' in path.stem else 1e-4)


# --- a step of full size ---

# The student's step of a recipe on two crops, in a process of its own: prints its loss, and the most memory in GiB.
STEP = """
import resource, sys, torch
from dataclasses import asdict
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmamd.backbones.elastic_sync_norm import ElasticSyncBatchNorm2d
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost

path, height, width = sys.argv[1], *map(int, sys.argv[2:])
cfg = Config.fromfile(path)
init_default_scope('mmseg')
from mmseg.structures import SegDataSample
cfg.model.architecture.backbone.img_size = (height, width)
settings = cfg.model.to_dict() | dict(teacher=None, start=None, data_preprocessor=cfg.data_preprocessor.to_dict())
whole = MODELS.build(cfg.model.architecture)
assert any(isinstance(module, ElasticSyncBatchNorm2d) for module in whole.backbone.modules())
kept = {group.name: max(1, round(0.15 * group.count)) for group in whole.backbone.unit_groups()}
del whole
distiller = MODELS.build(settings | dict(candidates=[asdict(Candidate(0.15, kept, Cost(0, 0), 0.15))])).train()
distiller.activate(distiller.candidates[0])
optimizer = torch.optim.SGD([each for each in distiller.parameters() if each.requires_grad], 0.01, momentum=0.9)
images = torch.randn(2, 3, height, width)
samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(19, (1, height, width)))) for _ in range(2)]
losses = distiller.loss(images, samples, distiller.teach(images, samples))
loss = sum(value for key, value in losses.items() if 'loss' in key)
loss.backward()
optimizer.step()
print(loss.item(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.seg
@pytest.mark.slow
def test_a_step_of_full_size_fits_into_16_gib():
    path = ROOT / 'configs/segmentation/psp_r101_cityscapes.py'
    done = subprocess.run([sys.executable, '-c', STEP, str(path), '512', '1024'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loss, gibibytes = map(float, done.stdout.split()[-2:])
    assert 0 < loss < math.inf and gibibytes < 16
