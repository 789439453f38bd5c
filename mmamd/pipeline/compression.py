"""The section ``compression`` of a config: which candidates there are, how units are scored, how they are made good."""

import math
from dataclasses import dataclass, field, fields

from mmengine.config import Config

from mmamd.pipeline.keys import check_keys, check_positive
from mmamd.pipeline.plain import plain
from mmamd.pruning.candidates import check_scales, scale_grid
from mmamd.pruning.importance import LEVELS

SCORES = ('taylor', 'l1_independent', 'l1_greedy')


@dataclass(frozen=True)
class ImportanceSettings:
    """How units are scored.

    Attributes:
        method: ``'taylor'``, by the reaction of the loss to a unit's gate; ``'l1_independent'`` or ``'l1_greedy'``, by
            the weights of a filter alone (:mod:`mmamd.pruning.filter_norms`), to which the other settings mean nothing.
        num_images: Training images that the expectation is taken over; all, when there are fewer.
        level: ``'sample'`` or ``'batch'``.
        batch_size: Images a backward pass on each rank. It changes the scores at level ``'batch'`` only.
        check_teacher: Whether a teacher that is no better than chance on these images is refused.
    """

    method: str = 'taylor'
    num_images: int = 2048
    level: str = 'sample'
    batch_size: int = 64
    check_teacher: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.check_teacher, bool):
            raise ValueError(f'compression.importance.check_teacher must be True or False, got {self.check_teacher!r}')
        if self.method not in SCORES:
            raise ValueError(f'compression.importance.method must be one of {SCORES}, got {self.method!r}')
        if self.level not in LEVELS:
            raise ValueError(f'compression.importance.level must be one of {LEVELS}, got {self.level!r}')
        check_positive('compression.importance', num_images=self.num_images, batch_size=self.batch_size)


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
        check_positive('compression.recalibration', num_images=self.num_images, batch_size=self.batch_size)

    def num_used(self, num_available: int) -> int:
        """How many of the training images are used."""
        num = min(self.num_images, num_available)
        return num if num < self.batch_size else num // self.batch_size * self.batch_size


@dataclass(frozen=True)
class RefitSettings:
    """How pruned networks are made good in closed form, on training images (:mod:`mmamd.pruning.refit`).

    Attributes:
        num_images: For the networks that are trained on or that teach; all, when there are fewer.
        num_images_candidates: For candidates that are judged only.
        ridge: Pull towards the inherited weights, over the mean diagonal of the inputs' Gram matrix.
        classifier: Whether the last layer of the head is refitted too, towards the teacher's logits.
        num_reported: Held-out images on which each network is judged before and after, for the report alone; 0 judges
            nothing, and all are taken when there are fewer.
    """

    num_images: int = 3072
    num_images_candidates: int = 768
    ridge: float = 1e-3
    classifier: bool = True
    num_reported: int = 1000

    def __post_init__(self) -> None:
        check_positive('compression.refit', num_images=self.num_images,
                        num_images_candidates=self.num_images_candidates)
        if isinstance(self.num_reported, bool) or not isinstance(self.num_reported, int) or self.num_reported < 0:
            raise ValueError('compression.refit.num_reported must be a number of held-out images, or 0 to judge none, '
                             f'got {self.num_reported!r}')
        if isinstance(self.ridge, bool) or not isinstance(self.ridge, (int, float)) or not 0 < self.ridge < math.inf:
            raise ValueError(f'compression.refit.ridge must be a finite number above 0, got {self.ridge!r}; 1e-3 is '
                             'usual')
        if not isinstance(self.classifier, bool):
            raise ValueError(f'compression.refit.classifier must be True or False, got {self.classifier!r}')


@dataclass(frozen=True)
class Compression:
    """The section ``compression`` of a config.

    Attributes:
        student_scale: Scale of the student.
        num_candidates: m; candidates lie on the grid i / (m + 1).
        scales: Explicit candidate scales above the student, instead of the grid.
        scale_by: ``'flops'``, ``'params'`` or ``'units'``.
        prune: Kinds of units that may be removed.
        round_to: Kept neurons and filters are rounded down to a multiple of it.
        importance: How units are scored.
        recalibration: How the batch norm statistics of a candidate are found.
        refit: How pruned networks are made good before they are trained or teach; None leaves them as they were cut.
        budget: What a run may cost, in runs of plain distillation by the config's own schedule; epochs follow from it.
            None leaves them as the config says.
        student_architecture: Config of the student, where it is of another architecture than the teacher.
    """

    student_scale: float
    num_candidates: int = 9
    scales: list[float] | None = None
    scale_by: str = 'flops'
    prune: tuple[str, ...] = ('head', 'neuron')
    round_to: int = 1
    importance: ImportanceSettings = field(default_factory=ImportanceSettings)
    recalibration: RecalibrationSettings = field(default_factory=RecalibrationSettings)
    refit: RefitSettings | None = None
    budget: float | None = None
    student_architecture: dict | None = None

    @property
    def family_scales(self) -> list[float]:
        """Scales of the family, the student's first.

        Raises:
            ValueError: If they cannot be those of a family.
        """
        if self.scales is None:
            return scale_grid(self.num_candidates, self.student_scale)
        scales = [self.student_scale, *sorted(self.scales)]
        check_scales(scales)
        return scales

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'Compression':
        """Read ``cfg.compression``; raises ValueError for a missing section and for keys there are not."""
        if 'compression' not in cfg:
            raise ValueError("the config has no section 'compression'; at least compression=dict(student_scale=0.10) "
                             'is needed to say how small the student is to be')
        raw = plain(cfg.compression)
        check_keys('compression', raw, [f.name for f in fields(cls)])
        for name, settings in (('importance', ImportanceSettings), ('recalibration', RecalibrationSettings)):
            given = raw.pop(name, {})
            check_keys(f'compression.{name}', given, [f.name for f in fields(settings)])
            raw[name] = settings(**given)
        if raw.get('refit') is not None:
            check_keys('compression.refit', raw['refit'], [f.name for f in fields(RefitSettings)])
            raw['refit'] = RefitSettings(**raw['refit'])
        if 'student_scale' not in raw:
            raise ValueError('compression.student_scale is missing: the scale of the student, e.g. 0.10')
        budget = raw.get('budget')
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, (int, float))
                                   or not 0 < budget < math.inf):
            raise ValueError('compression.budget must be a positive finite number of runs of plain distillation, got '
                             f'{budget!r}; 1.0 is what plain distillation costs, None keeps the epochs of the config')
        if 'prune' in raw:
            raw['prune'] = tuple(raw['prune'])
        return cls(**raw)
