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

from mmamd.pipeline.settings import Compression, leaf_datasets, stage_settings
from mmamd.pruning.candidates import make_family, scale_grid
from mmamd.pruning.complexity import cost_function
from mmamd.registry import HOOKS, MODELS
from mmamd.structures import Cost, Importance


@dataclass(frozen=True)
class Facts:
    """What a check of the config found out.

    Attributes:
        compression: The checked settings.
        scales: Scales of the family, the student's first.
        teacher_cost: Cost of the uncut network.
        datasets: Split -> number of images and digest of their names, labels and in-memory pixels.
    """

    compression: Compression
    scales: list[float]
    teacher_cost: Cost
    datasets: dict[str, dict]


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
    compression = Compression.from_cfg(cfg)
    if compression.scales:
        scales = sorted({compression.student, *compression.scales})
    else:
        scales = scale_grid(compression.num_candidates, compression.student)
    for section in ('joint', 'student') if compression.num_assistants else ('student',):
        settings = stage_settings(cfg, section)
        if settings.optim_wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available():
            raise ValueError('mixed precision (--amp) needs a GPU, and there is none; run without --amp')
        if settings.optim_wrapper.get('accumulative_counts', 1) != 1:
            raise ValueError('optim_wrapper.accumulative_counts must stay 1: a joint step accumulates over its '
                             f'candidates, got {settings.optim_wrapper.accumulative_counts}')
    _check_teacher_source(cfg)
    distiller = MODELS.build({**cfg.model, 'data_preprocessor': cfg.get('data_preprocessor')})

    # A family of equally important units meets the same budgets, so impossible scales show before scoring does.
    groups = distiller.network.backbone.unit_groups()
    flat = Importance({group.name: [1.] * group.count for group in groups}, 1, 'sample')
    family = make_family(groups, flat, cost_function(distiller.network), scales,
                         scale_by=compression.scale_by, prune=compression.prune, round_to=compression.round_to)

    datasets = {split: _check_dataset(cfg, split, distiller) for split in ('train', 'val', 'test')}
    if compression.num_assistants:
        _check_metric(cfg, distiller, [datasets['val'][i] for i in range(min(2, len(datasets['val'])))])
    return Facts(compression, scales, family.teacher_cost,
                 {split: dict(images=len(dataset), digest=_digest(dataset)) for split, dataset in datasets.items()})


def _check_teacher_source(cfg: Config) -> None:
    config = cfg.get('teacher_config')
    if cfg.model.get('teacher') is None:
        if config is None:
            raise ValueError('there is no teacher: set model.teacher to a checkpoint, or teacher_config to the config '
                             'that trains one')
        if not Path(config).is_file():
            raise FileNotFoundError(f'teacher_config={config!r} is not a file; expected a config that trains '
                                    'model.architecture')


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
    except (FileNotFoundError, RuntimeError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f'cannot read the {where}: {error}. Expected images under data_root/data_prefix, listed one a line as '
            '"<class>/<file> <label>" in data_root/ann_file, or one folder a class where there is no ann_file; '
            'set data_root, e.g. --cfg-options data_root=/path/to/data') from error
    if empty:
        raise ValueError(f'the {where} is empty; expected images, check data_prefix and ann_file')
    outputs = getattr(getattr(distiller.network, 'head', None), 'num_classes', None)
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


def _digest(dataset: BaseDataset) -> str:
    sha = hashlib.sha256()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        sha.update(f"{Path(info.get('img_path') or '').name} {info.get('gt_label')}\n".encode())
        if isinstance(info.get('img'), np.ndarray):
            sha.update(info['img'].tobytes())
    return sha.hexdigest()[:16]


@torch.no_grad()
def _check_metric(cfg: Config, distiller, samples: list[dict]) -> None:
    """Run two held-out images through teacher and evaluator, and look for the metric of the selection."""
    hooks = [HOOKS.build(copy.deepcopy(hook)) for hook in cfg.get('custom_hooks', [])
             if hook['type'] in ('mmamd.NPSDSelectionHook', 'NPSDSelectionHook')]
    if len(hooks) != 1:
        raise ValueError(f'expected one NPSDSelectionHook in custom_hooks to choose the assistant, got {len(hooks)}')
    batch = default_collate(samples)
    data = distiller.data_preprocessor(batch, training=False)
    evaluator = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    evaluator = Evaluator(copy.deepcopy(evaluator))
    evaluator.process(data_samples=distiller.teacher(**data, mode='predict'), data_batch=batch)
    keys = sorted(evaluator.evaluate(len(samples)))
    if hooks[0].metric not in keys:
        raise ValueError(f'NPSDSelectionHook asks for the metric {hooks[0].metric!r}, but val_evaluator computes '
                         f'{keys}; set metric= to one of these')
