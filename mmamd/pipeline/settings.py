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


@dataclass(frozen=True)
class ImportanceSettings:
    """How units are scored.

    Attributes:
        num_images: Training images that the expectation is taken over; all, when there are fewer.
        level: ``'sample'`` or ``'batch'``.
        batch_size: Images a backward pass on each rank. It changes the scores at level ``'batch'`` only.
    """

    num_images: int = 2048
    level: str = 'sample'
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f'compression.importance.level must be one of {LEVELS}, got {self.level!r}')
        for name in ('num_images', 'batch_size'):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f'compression.importance.{name} must be a positive integer, '
                                 f'got {getattr(self, name)!r}')


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
    """

    student: float
    num_candidates: int = 9
    scales: list[float] | None = None
    num_assistants: int = 1
    scale_by: str = 'flops'
    prune: tuple[str, ...] = ('head', 'neuron')
    round_to: int = 1
    importance: ImportanceSettings = field(default_factory=ImportanceSettings)

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
        importance = raw.pop('importance', {})
        for settings, keys, name in ((cls, raw, 'compression'), (ImportanceSettings, importance, 'importance')):
            known = [f.name for f in fields(settings)]
            unknown = sorted(set(keys) - set(known))
            if unknown:
                raise ValueError(f'{name} has no key {unknown}; expected some of {known}')
        if 'student' not in raw:
            raise ValueError('compression.student is missing: the scale of the student, e.g. 0.10')
        if 'prune' in raw:
            raw['prune'] = tuple(raw['prune'])
        return cls(**raw, importance=ImportanceSettings(**importance))


def stage_settings(cfg: Config, section: str) -> ConfigDict:
    """Top-level config with the keys of a stage's section merged over it.

    The type of the optimizer wrapper is the top level's, because that is where ``--amp`` sets it.
    """
    if section not in cfg or 'train_cfg' not in cfg[section]:
        raise ValueError(f"the config has no schedule for the stage '{section}': expected {section} = "
                         'dict(train_cfg=dict(max_epochs=...), param_scheduler=[...])')
    # load_from and resume are the run's: a stage starts from what the stage before it made.
    top = {key: value for key, value in cfg.items() if key not in (*STAGE_SECTIONS, 'load_from', 'resume')}
    merged = _merge(_plain(top), _plain(cfg[section]))
    top_wrapper = cfg.get('optim_wrapper') or {}
    for key in ('type', 'loss_scale'):
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
    for key in ('type', 'loss_scale'):
        if key in (cfg.get('optim_wrapper') or {}):
            teacher.optim_wrapper[key] = cfg.optim_wrapper[key]
    if (cfg.get('auto_scale_lr') or {}).get('enable') and teacher.get('auto_scale_lr'):
        teacher.auto_scale_lr.enable = True
    return teacher


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
