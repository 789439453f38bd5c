"""Every config of DistPro, a search or a replay, is laid and checked up to its training."""

import copy
from functools import cache
from pathlib import Path

import pytest
from meta_device import meta_device
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from toy_process import with_toy_process

from mmamd.distillation.losses import build_terms
from mmamd.methods import KD
from mmamd.pipeline.config.settings import Settings, section_losses
from mmamd.pruning.complexity import profiled_cost

CONFIGS = Path(__file__).parent.parent / 'configs'
PATHS = sorted((CONFIGS / 'distpro').glob('*.py'))
SEARCHES = [path for path in PATHS if path.stem.startswith('search_')]
REPLAYS = [path for path in PATHS if path not in SEARCHES]
# Of teacher and student, as MMPretrain and timm publish them; the wide ResNets as CRD counts them, 2.26 and 0.70 M.
PARAMETERS = {'resnet20_cifar100': (278_324, 83_892), 'wrn-40-2_cifar100': (2_255_156, 703_284),
              'resnet34_imagenet': (21_797_672, 11_689_512), 'resnet50_imagenet': (25_557_032, 4_231_976),
              'vit-b_imagenet': (86_567_656, 5_717_416)}


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=lambda path: path.stem)


def each_by_size(paths):
    return pytest.mark.parametrize('path', [
        pytest.param(path, id=path.stem, marks=[] if 'resnet20' in path.stem else [pytest.mark.slow])
        for path in paths])


@cache
def read(path):
    """The config of a file, read once. Not to be changed."""
    return Config.fromfile(path)


@pytest.fixture
def losses_of(tmp_path):
    """Function that gives the terms of a student, as a section; the process that it replays is a toy one."""
    def of(path):
        cfg = with_toy_process(Config.fromfile(path), tmp_path)
        settings = Settings.from_cfg(cfg)
        assert settings.method == KD() and (settings.search is not None) == (path in SEARCHES)
        return section_losses(cfg, 'student') | (settings.search.expected() if settings.search else {})

    return of


def test_there_are_a_search_of_each_pair_and_its_replay():
    of_distpro = [path.stem.removeprefix('search_distpro_') for path in SEARCHES]
    assert set(of_distpro) == set(PARAMETERS)
    assert [path.stem for path in REPLAYS] == [f'distpro_{name}' for name in of_distpro]


@each(REPLAYS)
def test_a_replay_is_of_the_pair_of_its_search_and_reads_what_that_writes(path):
    search = read(path.with_stem(f'search_{path.stem}'))
    process = read(path).model.losses.process
    assert process.file == f'work_dirs/search_{path.stem}/search/process.json'
    assert {'type': 'mmamd.ProcessLoss', 'file': process.file, **search.search.loss} == process
    for key in ('compression', 'train_dataloader'):
        assert read(path)[key] == search[key]
    assert read(path).model.architecture == search.model.architecture
    assert read(path).model.teacher == search.model.teacher


@each_by_size(SEARCHES)
def test_pair_has_its_size_and_its_scale(path):
    cfg = read(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        networks = [MODELS.build(copy.deepcopy(architecture)) for architecture in (
            cfg.model.architecture, cfg.compression.student_architecture)]
        side = cfg.model.architecture.backbone.get('img_size', 32)
        whole, own = (profiled_cost(network, (3, side, side)) for network in networks)
    assert (whole.params, own.params) == PARAMETERS[path.stem.split('_', 2)[2]]
    assert own.macs / whole.macs == pytest.approx(cfg.compression.student_scale, abs=0.005)


@each(PATHS)
def test_student_is_taught_by_what_is_found_beside_the_labels(path, losses_of):
    terms = build_terms(losses_of(path))
    assert len(terms) == 2 and not terms['ce'].needs_teacher and all(
        term.needs_teacher for name, term in terms.items() if name != 'ce')


@each_by_size(PATHS)
def test_distiller_is_built_at_full_size(path, losses_of):
    cfg = read(path)
    preprocessor = cfg.data_preprocessor.to_dict()
    teacher, student = ({**copy.deepcopy(architecture.to_dict()), 'data_preprocessor': preprocessor}
                        for architecture in (cfg.model.architecture, cfg.compression.student_architecture))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = MODELS.build(dict(type='mmamd.AMDDistiller', architecture=student, start=None,
                                      losses=losses_of(path), teacher=dict(architecture=teacher, weights=None)))
    levels, pathways = len(cfg.connect), distiller.terms['process'].pathways
    assert len(pathways) == levels * (levels + 1) // 2
