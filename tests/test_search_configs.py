"""Every config that searches, or replays what was searched, is laid and checked up to its training."""

import copy
from pathlib import Path

import pytest
from meta_device import meta_device
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmamd.distillation.losses import build_terms
from mmamd.distillation.losses.distpro import Process
from mmamd.distillation.losses.distpro.pathways import lay_pathways
from mmamd.methods import KD
from mmamd.pipeline.config.settings import Settings, section_losses
from mmamd.pruning.complexity import profiled_cost

CONFIGS = Path(__file__).parent.parent / 'configs'
PATHS = sorted(path for folder in ('kd_zero', 'distpro') for path in (CONFIGS / folder).glob('*.py'))


@pytest.fixture
def read(tmp_path):
    """Function that reads a config; the process that it replays is a toy one, of four levels."""
    def of(path):
        cfg = Config.fromfile(path)
        process = cfg.model.losses.get('process')
        if process is not None:
            process.file = str(tmp_path / 'process.json')
            row = (1.,) * 10
            Process(('a', 'b', 'c', 'd'), ('a', 'b', 'c', 'd'), tuple(lay_pathways('student_ge_teacher', 4)), (0, 1),
                    (row, row), (row, row)).write(process.file)
        return cfg

    return of


def test_there_are_a_search_of_each_kind_and_a_use_of_what_it_finds():
    assert [path.stem for path in PATHS] == ['distpro_resnet20_cifar100', 'search_distpro_resnet20_cifar100',
                                             'kd-zero_resnet20_cifar100', 'search_kd-zero_resnet20_cifar100']


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_student_of_a_search_is_taught_by_the_teacher_with_what_is_found_beside_the_labels(path, read):
    cfg = read(path)
    settings = Settings.from_cfg(cfg)
    assert settings.method == KD() and (settings.search is not None) == path.stem.startswith('search_')
    losses = section_losses(cfg, 'student') | (settings.search.expected() if settings.search else {})
    terms = build_terms(losses)
    assert len(terms) == 2 and not terms['ce'].needs_teacher and all(
        term.needs_teacher for name, term in terms.items() if name != 'ce')
    preprocessor = cfg.data_preprocessor.to_dict()
    teacher, student = ({**copy.deepcopy(architecture.to_dict()), 'data_preprocessor': preprocessor}
                        for architecture in (cfg.model.architecture, cfg.compression.student_architecture))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(dict(type='mmamd.AMDDistiller', architecture=student, start=None, losses=losses,
                          teacher=dict(architecture=teacher, weights=None)))
        with meta_device():
            own, others = (profiled_cost(MODELS.build(each), (3, 32, 32)).macs for each in (student, teacher))
    assert own / others == pytest.approx(cfg.compression.student_scale, abs=0.005)
