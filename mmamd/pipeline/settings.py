"""What the pipeline reads from a config, checked and in one place."""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from mmengine.config import Config, ConfigDict

from mmamd.pruning.importance import LEVELS

STAGE_SECTIONS = ('joint', 'student')
PRECISION = ('type', 'loss_scale', 'dtype')  # keys of optim_wrapper that the top level sets for every stage
METHODS = ('taylor', 'l1_independent', 'l1_greedy')


@dataclass(frozen=True)
class ImportanceSettings:
    """How units are scored.

    Attributes:
        method: ``'taylor'``, by the reaction of the loss to a unit's gate; ``'l1_independent'`` or ``'l1_greedy'``, by
            the weights of a filter alone (:mod:`mmamd.pruning.filter_norms`), to which the other settings mean nothing.
        num_images: Training images that the expectation is taken over; all, when there are fewer.
        level: ``'sample'`` or ``'batch'``.
        batch_size: Images a backward pass on each rank. It changes the scores at level ``'batch'`` only.
    """

    method: str = 'taylor'
    num_images: int = 2048
    level: str = 'sample'
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f'compression.importance.method must be one of {METHODS}, got {self.method!r}')
        if self.level not in LEVELS:
            raise ValueError(f'compression.importance.level must be one of {LEVELS}, got {self.level!r}')
        _check_positive('compression.importance', num_images=self.num_images, batch_size=self.batch_size)


@dataclass(frozen=True)
class RecalibrationSettings:
    """How the batch norm statistics of a candidate are found; a network without batch norm has none.

    Attributes:
        num_images: Training images, augmented as in training; all, when there are fewer.
        batch_size: Images a batch. The mean is over batches, so a last one that is not full is left out.
    """

    num_images: int = 2048
    batch_size: int = 64

    def __post_init__(self) -> None:
        _check_positive('compression.recalibration', num_images=self.num_images, batch_size=self.batch_size)

    def num_used(self, num_available: int) -> int:
        """How many of the training images are used."""
        num = min(self.num_images, num_available)
        return num if num < self.batch_size else num // self.batch_size * self.batch_size


def _check_positive(section: str, **values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f'{section}.{name} must be a positive integer, got {value!r}')


@dataclass(frozen=True)
class Compression:
    """The section ``compression`` of a config.

    Attributes:
        student: Scale of the student.
        num_candidates: m; candidates lie on the grid i / (m + 1).
        scales: Explicit candidate scales above the student, instead of the grid.
        num_assistants: Number of teacher assistants on the way; 0 is plain distillation of the same pruned student.
        scale_by: ``'flops'``, ``'params'`` or ``'units'``.
        prune: Kinds of units that may be removed.
        round_to: Kept neurons and filters are rounded down to a multiple of it.
        importance: How units are scored.
        recalibration: How the batch norm statistics of a candidate are found.
    """

    student: float
    num_candidates: int = 9
    scales: list[float] | None = None
    num_assistants: int = 1
    scale_by: str = 'flops'
    prune: tuple[str, ...] = ('head', 'neuron')
    round_to: int = 1
    importance: ImportanceSettings = field(default_factory=ImportanceSettings)
    recalibration: RecalibrationSettings = field(default_factory=RecalibrationSettings)

    def __post_init__(self) -> None:
        number = self.num_assistants
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValueError(f'compression.num_assistants must be an integer of at least 0, got {number!r}')

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'Compression':
        """Read ``cfg.compression``; raises ValueError for a missing section and for keys there are not."""
        if 'compression' not in cfg:
            raise ValueError("the config has no section 'compression'; at least compression=dict(student=0.10) is "
                             'needed to say how small the student is to be')
        raw = _plain(cfg.compression)
        importance, recalibration = raw.pop('importance', {}), raw.pop('recalibration', {})
        for settings, keys, name in ((cls, raw, 'compression'), (ImportanceSettings, importance, 'importance'),
                                     (RecalibrationSettings, recalibration, 'recalibration')):
            known = [f.name for f in fields(settings)]
            unknown = sorted(set(keys) - set(known))
            if unknown:
                raise ValueError(f'{name} has no key {unknown}; expected some of {known}')
        if 'student' not in raw:
            raise ValueError('compression.student is missing: the scale of the student, e.g. 0.10')
        if 'prune' in raw:
            raw['prune'] = tuple(raw['prune'])
        return cls(**raw, importance=ImportanceSettings(**importance),
                   recalibration=RecalibrationSettings(**recalibration))


def stage_settings(cfg: Config, section: str) -> ConfigDict:
    """Top-level config with the keys of a stage's section merged over it.

    The precision of the optimizer wrapper (type, loss scale, dtype) is the top level's, where ``--amp`` sets it.
    """
    if section not in cfg or 'train_cfg' not in cfg[section]:
        raise ValueError(f"the config has no schedule for the stage '{section}': expected {section} = "
                         'dict(train_cfg=dict(max_epochs=...), param_scheduler=[...])')
    # load_from and resume are the run's: a stage starts from what the stage before it made.
    top = {key: value for key, value in cfg.items() if key not in (*STAGE_SECTIONS, 'load_from', 'resume')}
    merged = _merge(_plain(top), _plain(cfg[section]))
    top_wrapper = cfg.get('optim_wrapper') or {}
    for key in PRECISION:
        if key in top_wrapper:
            merged['optim_wrapper'][key] = top_wrapper[key]
    if not merged.get('optim_wrapper', {}).get('optimizer'):
        raise ValueError(f"stage '{section}' has no optimizer; set optim_wrapper=dict(optimizer=dict(...)) at the top "
                         'level of the config')
    check_epochs(section, merged['train_cfg'])
    merged['train_cfg'].pop('by_epoch', None)
    return ConfigDict(merged)


def check_epochs(stage: str, train_cfg: dict) -> None:
    """Raise ValueError unless a training schedule counts epochs."""
    if not train_cfg.get('by_epoch', True) or 'max_epochs' not in train_cfg or 'max_iters' in train_cfg:
        raise ValueError(f"stage '{stage}' must be scheduled in epochs (train_cfg=dict(max_epochs=...)), because a "
                         f'run is resumed at epoch boundaries; got {dict(train_cfg)}')


def teacher_settings(cfg: Config) -> Config:
    """The config that trains the teacher, with what the run sets for all of its stages: data, precision, rate."""
    teacher = Config.fromfile(cfg.teacher_config)
    if cfg.get('data_root') is not None:
        teacher.data_root = cfg.data_root
    fill_data_root(teacher)
    for key in PRECISION:
        if key in (cfg.get('optim_wrapper') or {}):
            teacher.optim_wrapper[key] = cfg.optim_wrapper[key]
    if (cfg.get('auto_scale_lr') or {}).get('enable') and teacher.get('auto_scale_lr'):
        teacher.auto_scale_lr.enable = True
    return teacher


def pretrained_sources(cfg: Config) -> list[str]:
    """Where the weights come from that a plain training starts from: ``load_from``, and ``init_cfg`` of the model."""
    def below(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            init = value.get('init_cfg')
            if isinstance(init, dict) and init.get('type') == 'Pretrained':
                yield init['checkpoint']
            for item in value.values():
                yield from below(item)
    return [*([cfg.load_from] if cfg.get('load_from') else []), *below(cfg.model)]


def fill_data_root(cfg: Config) -> None:
    """Give the config's one ``data_root`` to every data set that names none, in place.

    So ``--cfg-options data_root=...`` moves all of them. Data sets of a wrapper are filled, the wrapper is not.
    """
    root = cfg.get('data_root')
    if root is None:
        return
    for split in ('train', 'val', 'test'):
        for dataset in leaf_datasets((cfg.get(f'{split}_dataloader') or {}).get('dataset')):
            dataset.setdefault('data_root', root)


def is_hook(hook: dict, *names: str) -> bool:
    """Whether a hook's config is of one of our hooks, named with or without the scope."""
    return hook['type'] in (*names, *(f'mmamd.{name}' for name in names))


def leaf_datasets(dataset: dict | None) -> Iterator[dict]:
    """Configs of the data sets that read files, below any wrappers."""
    if dataset is None:
        return
    if 'dataset' in dataset:
        yield from leaf_datasets(dataset['dataset'])
    elif 'datasets' in dataset:
        for inner in dataset['datasets']:
            yield from leaf_datasets(inner)
    else:
        yield dataset


def with_test_pipeline(train_dataset: dict, test_dataset: dict) -> dict:
    """The training data set read through the test pipeline: the images of training without augmentation."""
    dataset = copy.deepcopy(train_dataset)
    pipeline = next(leaf_datasets(test_dataset))['pipeline']
    for leaf in leaf_datasets(dataset):
        leaf['pipeline'] = copy.deepcopy(pipeline)
    return dataset


def digest(value: Any) -> str:
    """Short hash of plain config values: equal values, equal digest."""
    text = json.dumps(_plain(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _merge(base[key], over[key]) if key in base and key in over else over.get(key, base.get(key))
                for key in [*base, *(k for k in over if k not in base)]}
    return over


def _plain(value: Any) -> Any:
    """Deep copy of config values without the host's dict and list types."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value) if type(value) in (list, tuple) else [*map(_plain, value)]
    return value
