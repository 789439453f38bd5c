"""Every config of KD-Zero, a search or a use of what was found, is laid and checked up to its training."""

import copy
import re
from ast import literal_eval
from pathlib import Path

import pytest
from meta_device import meta_device
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmamd.distillation.genome import Genome
from mmamd.distillation.losses import build_terms
from mmamd.methods import KD
from mmamd.pipeline.config.settings import Settings, section_losses
from mmamd.pruning.complexity import profiled_cost
from mmamd.search.kd_zero.stage import KDZeroSearch

CONFIGS = Path(__file__).parent.parent / 'configs'
PATHS = sorted((CONFIGS / 'kd_zero').glob('*.py'))
DIGITS = CONFIGS / 'kd_zero' / 'search_kd-zero_vit-tiny_digits.py'  # whose student is cut out of its teacher
TRANSFORMERS = ('deit-t', 'pcpvt-t', 't2t-vit-7')
# Networks that are built in the default tier.
QUICK = ('resnet20', 'vgg13_mobilenet-v2', 'resnet56_deit-t', 'resnet56_t2t-vit-7', 'resnet56_pcpvt-t')


def test_there_is_a_search_of_each_pair_and_a_use_of_what_is_found():
    assert [path.stem for path in PATHS] == [
        'kd-zero_resnet20_cifar100',
        *(f'search_kd-zero_{pair}' for pair in (
            'resnet110_resnet20_cifar100', 'resnet20_cifar100', 'resnet32x4_resnet8x4_cifar100',
            'resnet32x4_shufflenet-v2_cifar100', 'resnet34_resnet18_imagenet', 'resnet50_mobilenet-v1_imagenet',
            'resnet56_deit-t_cifar100', 'resnet56_pcpvt-t_cifar100', 'resnet56_t2t-vit-7_cifar100',
            'vgg13_mobilenet-v2_cifar100', 'vgg13_vgg8_cifar100',
            'vit-tiny_digits', 'wrn-40-2_shufflenet-v1_cifar100', 'wrn-40-2_wrn-16-2_cifar100'))]


@pytest.mark.parametrize('path', [
    pytest.param(path, id=path.stem, marks=[] if any(f'_{pair}_cifar100' in path.stem and 'resnet110' not in path.stem
                                                     for pair in QUICK) else [pytest.mark.slow])
    for path in PATHS if path != DIGITS])
def test_student_of_a_search_is_taught_by_the_teacher_with_what_is_found_beside_the_labels(path):
    cfg = Config.fromfile(path)
    if 'TIMMBackbone' in str(cfg.compression.student_architecture):
        pytest.importorskip('timm')
    settings = Settings.from_cfg(cfg)
    assert settings.method == KD() and (settings.search is not None) == path.stem.startswith('search_')
    losses = section_losses(cfg, 'student') | (settings.search.expected() if settings.search else {})
    terms = build_terms(losses)
    assert len(terms) == 2 and not terms['ce'].needs_teacher and all(
        term.needs_teacher for name, term in terms.items() if name != 'ce')
    if isinstance(settings.search, KDZeroSearch):  # whatever it finds compares modules that are there
        losses = losses | {what: term for what in settings.search.space.inputs for term in settings.search.term_of(
            Genome(what, ('no', 'no', 'no'), 'l2')).values()}
    preprocessor = cfg.data_preprocessor.to_dict()
    teacher, student = ({**copy.deepcopy(architecture.to_dict()), 'data_preprocessor': preprocessor}
                        for architecture in (cfg.model.architecture, cfg.compression.student_architecture))
    side = cfg.model.architecture.backbone.img_size
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(dict(type='mmamd.AMDDistiller', architecture=student, start=None, losses=losses,
                          teacher=dict(architecture=teacher, weights=None)))
        with meta_device():
            own, others = (profiled_cost(MODELS.build(each), (3, side, side)).macs for each in (student, teacher))
    assert own / others == pytest.approx(cfg.compression.student_scale, abs=0.005)


def test_digits_are_searched_in_full_beside_chance_as_the_quickstart_distils_them():
    """The recipe is what these options make of that of AMD."""
    found, told = Config.fromfile(DIGITS), Config.fromfile(CONFIGS / 'amd' / 'vit-tiny_digits.py')
    told.merge_from_dict({
        'method.type': 'mmamd.KD', 'search.type': 'mmamd.KDZeroSearch', 'search.evolution.evaluations': 200,
        'search.evolution.population': 20, 'search.proxy_epochs': 2, 'search.random': True,
        'model.losses.logit.weight': 0, 'model.losses.feat.weight': 0, 'student.param_scheduler.0.end': 18})
    assert found.to_dict() == told.to_dict()
    settings = Settings.from_cfg(found)
    assert settings.method == KD() and isinstance(settings.search, KDZeroSearch)
    terms = build_terms(section_losses(found, 'student') | settings.search.expected())
    assert list(terms) == ['ce', 'found']


def test_the_schedule_that_the_paper_prints_is_two_options_of_its_pairs_on_cifar():
    text = (CONFIGS / 'kd_zero' / 'README.md').read_text()
    options = dict(re.findall(r'(optim_wrapper[.\w]+|student[.\w]+)=(\S+)', text))
    cfg = Config.fromfile(CONFIGS / 'kd_zero' / 'search_kd-zero_wrn-40-2_wrn-16-2_cifar100.py')
    cfg.merge_from_dict({key: literal_eval(value) for key, value in options.items()})
    assert cfg.optim_wrapper.optimizer.lr == 0.1 and cfg.student.train_cfg.max_epochs == 240
    schedule, = cfg.student.param_scheduler
    assert schedule.milestones == [100, 150] and schedule.gamma == 0.1 and schedule.by_epoch


@pytest.mark.parametrize('path', [path for path in PATHS if path.stem.count('_') == 4], ids=lambda path: path.stem)
def test_a_pair_of_the_paper_is_searched_as_published(path):
    """Section 4.1: 20 distillers, 100 iterations of two beside them, 5 % of the epochs; and training by table."""
    cfg = Config.fromfile(path)
    evolution = Settings.from_cfg(cfg).search.evolution
    assert evolution.population == 20 and evolution.evaluations == 20 + 100 * 2 and cfg.search.proxy_share == 0.05
    epochs, lr, batch = ((100, 0.1, 256) if path.stem.endswith('imagenet') else
                         (300, 5e-4, 64) if path.stem.split('_')[3] in TRANSFORMERS else (240, 0.05, 64))
    is_light = any(name in path.stem for name in ('shufflenet', 'mobilenet-v2'))
    assert cfg.student.train_cfg.max_epochs == epochs and cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.optim_wrapper.optimizer.lr == (0.01 if is_light else lr)  # CRD's for light networks
    assert cfg.train_dataloader.batch_size == batch  # a search is one process
