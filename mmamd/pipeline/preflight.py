"""Everything that can be known to be wrong before any training, checked before anything is written."""

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, default_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS

from mmamd.backbones.recalibration import batch_norms
from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.passes import frozen_eval
from mmamd.pipeline.settings import (
    Compression,
    check_epochs,
    is_hook,
    leaf_datasets,
    pretrained_sources,
    stage_settings,
    teacher_settings,
)
from mmamd.pruning.candidates import check_scales, make_family, scale_grid
from mmamd.pruning.complexity import cost_function, profiled_cost
from mmamd.pruning.filter_norms import check_filters
from mmamd.registry import HOOKS, MODELS
from mmamd.selection.npsd import manual
from mmamd.structures import CandidateFamily, Cost, Importance
from mmamd.weights.checkpoint import check_start, warn_of_normalisation


@dataclass(frozen=True)
class Facts:
    """What a check of the config found out.

    Attributes:
        compression: The checked settings.
        scales: Scales of the family, the student's first.
        teacher_cost: Cost of the uncut network.
        datasets: Split -> number of images and digest of their names, labels and in-memory pixels.
        flat_family: Family of a network whose units are all equally important. Where every layer is a scope of its own
            it keeps as many units as the real one.
        recalibration: Training images on which the batch norm statistics of a candidate are found; 0 for a network
            without batch norm.
        external_cost: Cost of the student where it is of another architecture; else None.
        input_shape: (channels, height, width) of the images that costs speak of.
    """

    compression: Compression
    scales: list[float]
    teacher_cost: Cost
    datasets: dict[str, dict]
    flat_family: CandidateFamily
    recalibration: int
    external_cost: Cost | None
    input_shape: tuple[int, int, int]


def check(cfg: Config) -> Facts:
    """Check a config against its network, teacher, data and metric.

    Raises:
        ValueError, FileNotFoundError: With the offending value, what was expected, and what to do.
    """
    if cfg.get('model', {}).get('type') not in ('AMDDistiller', 'mmamd.AMDDistiller'):
        raise ValueError(f"MultiStepRunner needs model=dict(type='mmamd.AMDDistiller', ...), got "
                         f'{cfg.get("model", {}).get("type")!r}')
    if cfg.get('load_from') and not cfg.get('resume'):
        raise ValueError(f'load_from={cfg.load_from!r} is not read by MultiStepRunner; the weights to start from are '
                         'those of model.teacher')
    _refuse_sync_bn(cfg)
    compression = Compression.from_cfg(cfg)
    scales = _scales(compression)
    for section in ('joint', 'student') if compression.num_assistants else ('student',):
        settings = stage_settings(cfg, section)
        on_this_machine(settings.optim_wrapper)
        if settings.optim_wrapper.get('accumulative_counts', 1) != 1:
            raise ValueError('optim_wrapper.accumulative_counts must stay 1: a joint step accumulates over its '
                             f'candidates, got {settings.optim_wrapper.accumulative_counts}')
    _check_teacher_source(cfg)
    distiller = MODELS.build({**cfg.model, 'data_preprocessor': cfg.get('data_preprocessor')})
    if cfg.model.get('teacher') is None:
        _check_trained_teacher(cfg, distiller)
    else:
        warn_of_normalisation(cfg.model.architecture.get('data_preprocessor') or cfg.get('data_preprocessor'),
                              cfg.model.teacher)

    # A family of equally important units meets the same budgets, so impossible scales show before scoring does.
    groups = distiller.teacher.backbone.unit_groups()
    flat = Importance({group.name: [1.] * group.count for group in groups}, 1, 'sample')
    family = make_family(groups, flat, cost_function(distiller.teacher), scales,
                         scale_by=compression.scale_by, prune=compression.prune, round_to=compression.round_to)
    if compression.importance.method != 'taylor':
        check_filters(distiller.teacher.backbone.filter_layers(), groups)
    external_cost = _check_external(distiller, compression, family.teacher_cost) if distiller.is_external else None

    datasets = {split: _check_dataset(cfg, split, distiller) for split in ('train', 'val', 'test')}
    _check_image_size(datasets['test'], distiller)
    metric = _selection_metric(cfg, compression.num_assistants, scales, distiller)
    for split in ('val', 'test') if compression.num_assistants else ('test',):
        _check_metric(cfg, split, distiller, [datasets[split][i] for i in range(min(2, len(datasets[split])))], metric)
    recalibration = compression.recalibration.num_used(len(datasets['train'])) if batch_norms(distiller.teacher) else 0
    return Facts(compression, scales, family.teacher_cost,
                 {split: dict(images=len(dataset), digest=_digest(dataset)) for split, dataset in datasets.items()},
                 family, recalibration, external_cost, distiller.teacher.backbone.input_shape)


def _scales(compression: Compression) -> list[float]:
    student = compression.student
    if compression.scales is None:
        scales = scale_grid(compression.num_candidates, student)
    else:
        scales = [student, *sorted(compression.scales)]
        check_scales(scales)
    if compression.num_assistants > len(scales) - 1:
        raise ValueError(f'compression.num_assistants={compression.num_assistants} needs as many candidates between '
                         f'student and teacher, got the scales {scales[1:]}; raise num_candidates')
    return scales


def _check_external(distiller, compression: Compression, teacher_cost: Cost) -> Cost:
    """A student of another architecture must have the teacher's classes and the size that the config says."""
    image = torch.zeros(1, *distiller.teacher.backbone.input_shape)
    with torch.no_grad(), frozen_eval(distiller.network):
        own, teachers = (tuple(network(image, mode='tensor').shape[1:])
                         for network in (distiller.network, distiller.teacher))
    if own != teachers:
        raise ValueError(f'model.student_architecture has logits of shape {own} (classes first), the teacher '
                         f'{teachers}; give both the classes of the data: '
                         f'model.student_architecture.head.num_classes={teachers[0]}')
    cost = profiled_cost(distiller.network, tuple(image.shape[1:]))
    name = 'params' if compression.scale_by == 'params' else 'macs'
    share = getattr(cost, name) / getattr(teacher_cost, name)
    if abs(share - compression.student) > 0.005 + 1e-9:
        raise ValueError(f'model.student_architecture has {share:.4f} of the {name} of the teacher, but '
                         f'compression.student={compression.student}; the assistant is chosen above that scale, so set '
                         f'compression.student={share:.2f}')
    return cost


def _refuse_sync_bn(cfg: Config) -> None:
    if cfg.get('sync_bn'):
        raise ValueError(f'sync_bn={cfg.sync_bn!r} would exchange the batch norms that run as any candidate for plain '
                         'ones; leave it out: every candidate gets statistics of its own on training images '
                         '(compression.recalibration)')


def _check_teacher_source(cfg: Config) -> None:
    config = cfg.get('teacher_config')
    if cfg.model.get('teacher') is None:
        if config is None:
            raise ValueError('there is no teacher: set model.teacher to a checkpoint, or teacher_config to the config '
                             'that trains one')
        if not Path(config).is_file():
            raise FileNotFoundError(f'teacher_config={config!r} is not a file; expected a config that trains '
                                    'model.architecture')


def _check_trained_teacher(cfg: Config, distiller) -> None:
    """The network that teacher_config trains must be the one to compress, and what it starts from must be there."""
    teacher = teacher_settings(cfg)
    _refuse_sync_bn(teacher)
    check_epochs('teacher', teacher.train_cfg)
    on_this_machine(teacher.optim_wrapper)
    network = MODELS.build(copy.deepcopy(teacher.model))
    for source in pretrained_sources(teacher):
        check_start(network, source)
        warn_of_normalisation(teacher.model.get('data_preprocessor') or teacher.get('data_preprocessor'), source)
    trained, expected = network.state_dict(), distiller.teacher.state_dict()
    for key in [*expected, *(key for key in trained if key not in expected)]:
        shapes = [tuple(state[key].shape) if key in state else 'absent' for state in (trained, expected)]
        if shapes[0] != shapes[1]:
            raise ValueError(f'teacher_config={cfg.teacher_config!r} trains another network than model.architecture: '
                             f'{key} is {shapes[0]} there and {shapes[1]} here; make the two the same')


def _check_dataset(cfg: Config, split: str, distiller) -> BaseDataset:
    """Build a split's data set, read its first sample, and compare its classes with the head's."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise ValueError(f'the config has no {split}_dataloader; expected training images (train), held-out training '
                         'images (val) and test images (test)')
    leaf = next(leaf_datasets(loader.dataset))
    where = f"{split} data set {leaf['type']} (data_root={leaf.get('data_root')!r}, " \
            f"data_prefix={leaf.get('data_prefix')!r}, ann_file={leaf.get('ann_file')!r})"
    try:
        dataset = DATASETS.build(copy.deepcopy(loader.dataset))
        dataset.full_init()
        empty = len(dataset) == 0 or dataset[0] is None
    # ValueError: the host's for an empty annotation file; AssertionError and RuntimeError: its data sets' own checks.
    except (OSError, RuntimeError, AssertionError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else FileNotFoundError
        raise kind(
            f'cannot read the {where}: {error}. Expected images under data_root/data_prefix, listed one a line as '
            '"<class>/<file> <label>" in data_root/ann_file, or one folder a class where there is no ann_file; '
            'set data_root, e.g. --cfg-options data_root=/path/to/data') from error
    if empty:
        raise ValueError(f'the {where} is empty; expected images, check data_prefix and ann_file')
    outputs = getattr(getattr(distiller.teacher, 'head', None), 'num_classes', None)
    if outputs is None:
        return dataset
    classes = dataset.metainfo.get('classes')
    if classes is not None and len(classes) != outputs:
        raise ValueError(f'the {where} has {len(classes)} classes but the head has {outputs}; set '
                         'model.architecture.head.num_classes to that of the data')
    largest = max(int(np.max(dataset.get_data_info(i)['gt_label'])) for i in range(len(dataset)))
    if largest >= outputs:
        raise ValueError(f'the {where} has label {largest} but the head has {outputs} classes (0 to {outputs - 1}); '
                         'set model.architecture.head.num_classes')
    return dataset


def _check_image_size(dataset: BaseDataset, distiller) -> None:
    """Budgets, costs and ONNX speak of images of the backbone's input_shape; the network is used on such."""
    images = distiller.data_preprocessor(default_collate([dataset[0]]), training=False)['inputs']
    got, expected = tuple(images.shape[1:]), tuple(distiller.teacher.backbone.input_shape)
    if got != expected:
        raise ValueError(f'the test images have shape {got} (channels, height, width), but the backbone counts its '
                         f'costs for {expected}; set model.architecture.backbone.img_size={got[1:]}, or resize the '
                         'images in the pipeline of test_dataloader')


def _digest(dataset: BaseDataset) -> str:
    sha = hashlib.sha256()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        sha.update(f"{Path(info.get('img_path') or '').name} {info.get('gt_label')}\n".encode())
        if isinstance(info.get('img'), np.ndarray):
            sha.update(info['img'].tobytes())
    return sha.hexdigest()[:16]


def _selection_metric(cfg: Config, num_assistants: int, scales: list[float], distiller) -> str:
    """Key of the metric of the selection, by which teacher and student are reported too."""
    def built(name: str) -> list:
        return [HOOKS.build(copy.deepcopy(hook)) for hook in cfg.get('custom_hooks', [])
                if is_hook(hook, name)]

    for hook in built('SandwichSparsityHook'):  # refuses an unknown sampler now, not when the joint stage begins
        if num_assistants:
            hook.check(distiller, cfg.joint.train_cfg.max_epochs)
    hooks = built('NPSDSelectionHook')
    if len(hooks) != 1 and (num_assistants or hooks):
        raise ValueError(f'expected one NPSDSelectionHook in custom_hooks to choose the assistant, got {len(hooks)}')
    if not hooks:
        return 'accuracy/top1'
    if num_assistants and hooks[0].rule == 'manual':
        manual(scales[num_assistants:], hooks[0].scale)  # raises for a scale that is no candidate
        if num_assistants > 1 and not isinstance(hooks[0].scale, str):
            raise ValueError(f"rule 'manual' names one assistant, scale={hooks[0].scale}, but "
                             f"compression.num_assistants={num_assistants}; name 'largest' or 'smallest', or choose by "
                             'another rule')
    return hooks[0].metric


@torch.no_grad()
def _check_metric(cfg: Config, split: str, distiller, samples: list[dict], metric: str) -> None:
    """Run two images of a split through teacher and evaluator, and look for the metric of the selection."""
    batch = default_collate(samples)
    data = distiller.data_preprocessor(batch, training=False)
    evaluator = cfg[f'{split}_evaluator']
    evaluator = Evaluator(copy.deepcopy(evaluator if isinstance(evaluator, list) else [evaluator]))
    evaluator.process(data_samples=distiller.teacher(**data, mode='predict'), data_batch=batch)
    keys = sorted(evaluator.evaluate(len(samples)))
    if metric not in keys:
        raise ValueError(f'NPSDSelectionHook asks for the metric {metric!r}, but {split}_evaluator computes '
                         f'{keys}; set metric= to one of these')
