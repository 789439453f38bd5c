"""What every stage of a run may read: the config, and what it amounts to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmamd.backbones.recalibration import batch_norms
from mmamd.pipeline.class_names import find_class_names
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.images.preprocessor import check_preprocessor
from mmamd.pipeline.images.splits import build_dataset, check_batch_size, images_of
from mmamd.pipeline.inputs import Images, Loader, Weights
from mmamd.pipeline.plain import digest
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.untrained import Untrained, logits_shape, untrained
from mmamd.pruning.candidates import make_family
from mmamd.pruning.complexity import cost_function, rest_cost
from mmamd.structures import CandidateFamily, Cost, Importance, Network, scale_key
from mmamd.tasks import Task, task_of
from mmamd.weights.networks import find_network, read_networks, with_preprocessor

BLACK_BOX = 'black_box'  # reference to the teacher that is not pruned


@dataclass
class Context:
    """A run as its stages see it.

    Attributes:
        cfg: The run's config, data_root filled in.
        settings: What it says of the method, checked.
        work_dir: The run's folder.
        seed: The run's seed.
        spend: Called with a stage, the wall time of each of its epochs, and the MACs that it took.
        resume_from: Checkpoint that the user asked the interrupted stage to continue from.
        progress: What the stages tell how far they are.
        planned_scales: Reference -> scale of the network that it will name, as far as the method knows it beforehand,
            or a reference to a network of the same scale, which is there earlier.
        stages: Of the run, in order, once the method has laid them.
        spent, planned: From the name of a stage to the MACs that it has taken, and was to take when it was begun; None
            unless it is finished.
        counted: What has been counted of untrained networks, by what it is.
        overlaps: Pair of splits -> images that they have in common, where that was not refused.
        built: Untrained distillers that the checks have built, by what they were built of; empty once stages run.
        students: Scales of the students, ascending; where the run finds the size, those that it has tried so far, the
            smallest size standing for what is not found yet.
    """

    cfg: Config
    settings: Settings
    work_dir: Path
    seed: int
    spend: Callable[[str, float, float], None]
    resume_from: str | None = None
    progress: Progress = field(default_factory=lambda: Progress({}))
    planned_scales: dict[str, float | str] = field(default_factory=dict)
    stages: list[Any] = field(default_factory=list)
    spent: Callable[[str], float | None] = lambda _: None
    planned: Callable[[str], float | None] = lambda _: None
    counted: dict[str, float] = field(default_factory=dict)
    overlaps: dict[str, dict] = field(default_factory=dict)
    built: dict[str, nn.Module] = field(default_factory=dict)
    students: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        compression = self.settings.compression
        self.students = self.students or compression.students or tuple(compression.sizes[:1])

    # --- networks ---

    @cached_property
    def architecture(self) -> dict:
        """Config of the teacher's network, preprocessor included."""
        architecture = with_preprocessor(self.cfg.model.architecture.to_dict(), self.cfg.get('data_preprocessor'))
        check_preprocessor(architecture.get('data_preprocessor'), 'data_preprocessor')
        check_preprocessor(self.cfg.model.get('data_preprocessor'), 'model.data_preprocessor')
        return architecture

    @cached_property
    def network(self) -> nn.Module:
        """The teacher's network, uncut; to be asked for its units, shapes and costs, whatever its weights are."""
        return untrained('model.architecture', self.architecture)

    @cached_property
    def task(self) -> Task:
        task = task_of(self.network)
        task.check_network(self.network)
        return task

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images that costs speak of."""
        return tuple(self.network.backbone.input_shape)

    @cached_property
    def logits_shape(self) -> tuple[int, ...]:
        """Shape of the teacher's logits of one image: (classes,), or (classes, height, width) of dense ones."""
        return logits_shape(self.network, self.input_shape)

    @cached_property
    def flat_family(self) -> CandidateFamily:
        """Family of a network whose units are all equally important: it meets the same budgets.

        Impossible scales show by it before anything is scored, and where every layer is a scope of its own it keeps as
        many units as the real one.
        """
        groups, settings = self.network.backbone.unit_groups(), self.settings.compression
        flat = Importance({group.name: [1.] * group.count for group in groups}, 1, 'sample')
        return make_family(groups, flat, cost_function(self.network), settings.family_scales, unscaled=self.unscaled,
                           scale_by=settings.scale_by, prune=settings.prune, round_to=settings.round_to)

    @property
    def family(self) -> CandidateFamily:
        """The candidates, once the stage nest has made them."""
        return CandidateFamily.load(self.work_dir / 'nest' / 'family.json')

    @property
    def teacher_cost(self) -> Cost:
        return self.flat_family.teacher_cost

    @cached_property
    def unscaled(self) -> Cost:
        """What of the teacher's cost scales are no fraction of; every candidate has it whole."""
        return rest_cost(self.network) if self.task.scales_backbone else Cost(0, 0)

    def macs_at(self, summed_scales: float, number: float = 1) -> float:
        """MACs, together, of so many networks of the teacher's kind whose scales have this sum."""
        return summed_scales * (self.teacher_cost - self.unscaled).macs + number * self.unscaled.macs

    @property
    def teacher(self) -> str | Weights:
        """Where the teacher's weights are: as configured, or a reference to what the stage teacher trains."""
        source = self.cfg.model.get('teacher')
        if source is not None and not isinstance(source, str):
            raise ValueError(f'model.teacher must be one source of weights, got {source!r}; the method says who '
                             'teaches beside it')
        return Weights(source) if source else 'teacher'

    def teacher_network(self) -> Network:
        """The teacher as plain data."""
        if isinstance(self.teacher, Weights):
            return Network(self.architecture, self.teacher.source, cost=self.teacher_cost)
        return find_network(self.work_dir, self.teacher)

    @cached_property
    def black_box(self) -> Untrained | None:
        """The teacher that is not pruned; None where the network that is pruned teaches."""
        return self._other('teacher_architecture')

    @cached_property
    def other_student(self) -> Untrained | None:
        """The student where it is of another architecture."""
        return self._other('student_architecture')

    def _other(self, key: str) -> Untrained | None:
        where, other = f'compression.{key}', getattr(self.settings.compression, key)
        if other is None:
            return None
        check_preprocessor(other.get('data_preprocessor'), f'{where}.data_preprocessor')
        return Untrained(where, with_preprocessor(other, self.cfg.get('data_preprocessor')), self.input_shape)

    @property
    def student_architecture(self) -> dict | None:
        """Config of the student where it is of another architecture, preprocessor included."""
        return self.other_student and self.other_student.architecture

    @cached_property
    def student_cost(self) -> Cost:
        """What the student of another architecture costs."""
        return self.other_student.cost

    @property
    def student_share(self) -> Cost:
        """What the scale of the student of another architecture speaks of: it all, or its backbone alone."""
        return self.other_student.backbone_cost if self.task.scales_backbone else self.student_cost

    @property
    def student_costs(self) -> list[Cost]:
        """What each student costs; of candidates, as far as that is known before units are ranked."""
        if self.student_architecture is not None:
            return [self.student_cost]
        return [self.flat_family.at(scale).cost for scale in self.students]

    @property
    def is_smallest_student(self) -> bool:
        """Whether the smallest candidate is a student."""
        is_first = scale_key(self.students[0]) == scale_key(self.settings.compression.family_scales[0])
        return self.student_architecture is None and is_first

    def scale_of(self, reference: str) -> float:
        """Scale of the network that a reference names: as it is, or as it is planned."""
        try:
            return find_network(self.work_dir, reference).scale
        except FileNotFoundError:
            # What no method has planned is half the teacher, the middle of what it can be.
            planned = self.planned_scales.get(reference, 0.5)
            return self.scale_of(planned) if isinstance(planned, str) else planned

    def macs_of(self, reference: str) -> float:
        """MACs of the network that a reference names: as counted, or as its scale promises."""
        try:
            return find_network(self.work_dir, reference).cost.macs
        except FileNotFoundError:
            return self.black_box.cost.macs if reference == BLACK_BOX else self.macs_at(self.scale_of(reference))

    def references_of(self, reference: str) -> list[str]:
        """References to the single networks that a reference stands for: as they are, or as they are planned."""
        stage, _, key = reference.partition('@')
        if key:
            return [reference]
        try:
            keys = list(read_networks(self.work_dir, stage))
        except FileNotFoundError:
            keys = [each.partition('@')[2] for each in self.planned_scales if each.startswith(f'{stage}@')]
        return [f'{stage}@{key}' for key in keys] if len(keys) > 1 else [reference]

    # --- images ---

    def dataset(self, split: str) -> BaseDataset:
        """The data set of a split, checked against the network; built once."""
        if split not in self._datasets:
            loader = self.cfg.get(f'{split}_dataloader')
            if loader:
                check_batch_size(loader, f'{split}_dataloader')
            self._datasets[split] = build_dataset((loader or {}).get('dataset'), split, self.network, self.task)
        return self._datasets[split]

    @cached_property
    def class_names(self) -> list[str] | None:
        """Names of the classes, in the order of the logits; None where nothing tells them."""
        return find_class_names(self.cfg.get('class_names'), self.task.num_classes(self.network), self.dataset('test'),
                                self.task)

    def images(self, split: str) -> Images:
        """The images of a split; looked through once."""
        if split not in self._images:
            self._images[split] = images_of(self.dataset(split), split, self.task)
        return self._images[split]

    def training_dataset(self, loader: Loader) -> BaseDataset:
        """The data set that a training stage's own loader reads, checked against the network; built once."""
        return self._training(loader)[0]

    def training_images(self, loader: Loader) -> Images:
        """The images that a training stage's own loader reads; looked through once."""
        return self._training(loader)[1]

    def _training(self, loader: Loader) -> tuple[BaseDataset, Images]:
        if loader.settings['dataset'] == self.cfg.train_dataloader.dataset.to_dict():
            return self.dataset('train'), self.images('train')
        key = f'train of {digest(loader.settings["dataset"])}'
        if key not in self._images:
            self._datasets[key] = build_dataset(loader.settings['dataset'], 'train', self.network, self.task)
            self._images[key] = images_of(self._datasets[key], 'train', self.task)
        return self._datasets[key], self._images[key]

    @cached_property
    def _datasets(self) -> dict[str, BaseDataset]:
        return {}

    @cached_property
    def _images(self) -> dict[str, Images]:
        return {}

    @property
    def num_recalibration(self) -> int:
        """Training images on which batch norm statistics are found; 0 for a network without batch norm."""
        if not batch_norms(self.network):
            return 0
        return self.settings.compression.recalibration.num_used(self.images('train').num)

    # --- what is reported ---

    @property
    def metric(self) -> str:
        """Key of the metric of the choice, by which teacher and student are reported too."""
        return self.settings.selection.metric if self.settings.selection else self.task.metric

    @property
    def unit(self) -> float:
        """What the metric's values are divided by to be fractions."""
        hook = self.settings.selection
        return 100. if (hook.percent if hook else self.task.is_percent) else 1.
