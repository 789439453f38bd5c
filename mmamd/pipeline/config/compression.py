"""The section ``compression`` of a config: which candidates there are, how units are scored, how they are made good."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from mmengine.config import Config

from mmamd.checks import Count, Positive, Scale, Whole, integer, one_of
from mmamd.pipeline.config.keys import check_options
from mmamd.pipeline.config.sizes import AUTO, LatencySettings, check_sizes, latency_settings
from mmamd.pipeline.plain import plain
from mmamd.pruning.candidates import SCALE_BY, check_scales, scale_grid
from mmamd.pruning.importance import LEVELS
from mmamd.structures import scale_key

MOST_CANDIDATES = 99  # a grid of 1 %; candidates that are closer differ by less than held-out images tell apart
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
        check_teacher: Whether a teacher is refused that is no better than chance on these images, or whose checkpoint
            says other heads, normalisation, image size or order of classes than the config.
    """

    method: Annotated[str, one_of(SCORES)] = 'taylor'
    num_images: Count = 2048
    level: Annotated[str, one_of(LEVELS)] = 'sample'
    batch_size: Count = 64
    check_teacher: bool = True


@dataclass(frozen=True)
class RecalibrationSettings:
    """How the batch norm statistics of a candidate are found; a network without batch norm has none.

    Attributes:
        num_images: Training images, augmented as in training; all, when there are fewer.
        batch_size: Images a batch. The mean is over batches, so a last one that is not full is left out.
    """

    num_images: Count = 2048
    batch_size: Count = 64

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

    num_images: Count = 3072
    num_images_candidates: Count = 768
    ridge: Positive = 1e-3
    classifier: bool = True
    num_reported: Whole = 1000


@dataclass(frozen=True)
class Compression:
    """The section ``compression`` of a config.

    Attributes:
        student_scale: Scale of the student, or scales of several; or ``'auto'`` for the one that follows from ``keep``
            or ``latency``, one of the candidates but the largest.
        num_candidates: m; candidates lie on the grid i / (m + 1).
        scales: Explicit candidate scales above the student, instead of the grid.
        scale_by: ``'flops'``, ``'params'`` or ``'units'``.
        prune: Kinds of units that may be removed, or ``('block',)`` for whole blocks of a transformer.
        round_to: Kept neurons and filters are rounded down to a multiple of it.
        importance: How units are scored.
        recalibration: How the batch norm statistics of a candidate are found.
        refit: How pruned networks are made good before they are trained or teach; None leaves them as they were cut.
        budget: What a run may cost, in runs of plain distillation by the config's own schedule; epochs follow from it.
            None leaves them as the config says.
        student_architecture: Config of the student, where it is of another architecture than the teacher.
        keep: Share of the teacher's performance on the held-out images that the smallest student is to keep.
        latency: What the largest student may take on this device, ``'2ms'``, or the options of
            :class:`mmamd.pipeline.config.sizes.LatencySettings`.
        teacher_architecture: Config of a teacher that is not pruned and teaches in the place of the network that is,
            known by its outputs alone; None where the network that is pruned teaches.
        teacher_weights: Its weights; None where its constructor loads them.
    """

    student_scale: Any
    num_candidates: Annotated[int, integer(1, MOST_CANDIDATES)] = 9
    scales: list[Scale] | None = None
    scale_by: Annotated[str, one_of(SCALE_BY)] = 'flops'
    prune: tuple[str, ...] = ('head', 'neuron')
    round_to: Count = 1
    importance: ImportanceSettings = field(default_factory=ImportanceSettings)
    recalibration: RecalibrationSettings = field(default_factory=RecalibrationSettings)
    refit: RefitSettings | None = None
    budget: Positive | None = None
    student_architecture: dict | None = None
    keep: Scale | None = None
    latency: Any = None
    teacher_architecture: dict | None = None
    teacher_weights: str | None = None

    @property
    def is_auto(self) -> bool:
        """Whether the scale of the student is found by the run."""
        return self.student_scale == AUTO

    @property
    def students(self) -> tuple[float, ...]:
        """Scales of the students, ascending; none where they are found by the run."""
        if self.is_auto:
            return ()
        several = isinstance(self.student_scale, (list, tuple))
        return tuple(sorted(self.student_scale)) if several else (self.student_scale,)

    @property
    def sizes(self) -> list[float]:
        """Scales among which the student's is found: all but the largest, above which there is no assistant."""
        return self.family_scales[:-1]

    @property
    def latency_settings(self) -> LatencySettings | None:
        return latency_settings(self.latency)

    @property
    def family_scales(self) -> list[float]:
        """Scales of the family, ascending, the smallest student's first.

        Raises:
            ValueError: If they cannot be those of a family.
        """
        smallest = self.students[0] if self.students else 1 / (self.num_candidates + 1)
        if self.scales is None:
            scales = scale_grid(self.num_candidates, smallest)
        else:
            scales = [*self.students[:1], *sorted(self.scales)]
            check_scales(scales)
        return _with(scales, self.students[1:])

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'Compression':
        """Read ``cfg.compression``; raises ValueError for a missing section and for keys there are not."""
        if 'compression' not in cfg:
            raise ValueError("the config has no section 'compression'; at least compression=dict(student_scale=0.10) "
                             'is needed to say how small the student is to be')
        raw = plain(cfg.compression)
        check_options('compression', cls, raw, hint='')
        for name, settings in (('importance', ImportanceSettings), ('recalibration', RecalibrationSettings),
                               ('refit', RefitSettings)):
            if raw.get(name) is not None:
                check_options(f'compression.{name}', settings, raw[name], hint='')
                raw[name] = settings(**raw[name])
        if 'student_scale' not in raw:
            raise ValueError('compression.student_scale is missing: the scale of the student, e.g. 0.10')
        if raw.get('teacher_weights') is not None and raw.get('teacher_architecture') is None:
            raise ValueError(f'compression.teacher_weights={raw["teacher_weights"]!r} is of a teacher that is not '
                             'pruned, and compression.teacher_architecture does not say which; give its config, or '
                             'the weights of the network that is pruned as model.teacher')
        check_sizes(raw)
        if 'prune' in raw:
            raw['prune'] = tuple(raw['prune'])
        return cls(**raw)


def _with(scales: Sequence[float], further: Sequence[float]) -> list[float]:
    """Scales and further ones, ascending; where two have one name, the further one."""
    found = {scale_key(scale): scale for scale in (*scales, *further)}
    return sorted(found.values()) if further else list(scales)
