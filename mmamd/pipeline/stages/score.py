"""Score every unit of the teacher."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch.nn as nn
from mmengine.device import get_device
from mmengine.dist import barrier, get_world_size, is_main_process
from torch.utils.data import DataLoader

from mmamd.passes import watch
from mmamd.pipeline.chance import Answers
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Images, Weights, pipeline_of
from mmamd.pipeline.origin_check import check_origin
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.stages.data import drawn_batches
from mmamd.pipeline.stages.stage import Stage
from mmamd.pruning.filter_norms import check_filters, greedy_norms, independent_norms
from mmamd.pruning.importance import check_importance, score
from mmamd.structures import Importance
from mmamd.weights.checkpoint import load_weights, warn_of_normalisation
from mmamd.weights.networks import build_network
from mmamd.weights.origin import read_origin


@dataclass(frozen=True, kw_only=True)
class Score(Stage):
    """Score units on training images without augmentation, or filters by their weights: ``importance.json``.

    Attributes:
        teacher: The user's weights, or a reference to the stage that trained them.
        architecture: Of the network.
        importance: Fields of :class:`mmamd.pipeline.config.compression.ImportanceSettings` that matter.
        images, pipeline, seed: Which images, how they are read, and by which seed they are drawn; None for norms.
        kept: For greedy norms, the filters of each layer that the student keeps.
        processes: Their number at level ``'batch'``, where each has batches of its own.
    """

    kind: ClassVar[str] = 'score'
    name: str = 'score'
    teacher: str | Weights
    architecture: dict
    importance: dict
    images: Images | None = None
    pipeline: list | None = None
    seed: int | None = None
    kept: dict | None = None
    processes: int | None = None

    @classmethod
    def of(cls, context: Context) -> 'Score':
        """The stage that a config asks for."""
        settings = context.settings.compression.importance
        common = dict(teacher=context.teacher, architecture=context.architecture)
        if settings.method != 'taylor':
            kept = context.flat_family.student.kept if settings.method == 'l1_greedy' else None
            return cls(**common, importance={'method': settings.method}, kept=kept)
        by_batch = settings.level == 'batch'
        without = ('check_teacher',) if by_batch else ('check_teacher', 'batch_size')  # which change no score
        importance = {key: value for key, value in settings.__dict__.items() if key not in without}
        return cls(**common, importance=importance, images=context.images('train'), seed=context.seed,
                   pipeline=pipeline_of(context.cfg.test_dataloader), processes=get_world_size() if by_batch else None)

    def networks(self) -> list[str]:
        return [self.teacher] if isinstance(self.teacher, str) else []

    def check(self, context: Context) -> None:
        if isinstance(self.teacher, Weights):
            load_weights(context.network, self.teacher.source)
            warn_of_normalisation(self.architecture.get('data_preprocessor'), self.teacher.source)
            if context.settings.compression.importance.check_teacher:
                check_origin(read_origin(self.teacher.source), self.teacher.source, context)
        if self.images is None:
            check_filters(context.network.backbone.filter_layers(), context.network.backbone.unit_groups())

    def macs(self, context: Context) -> float:
        return 0. if self.images is None else 3. * context.teacher_cost.macs * self._num_images

    @property
    def _num_images(self) -> int:
        return min(self.importance['num_images'], self.images.num)

    def carry_out(self, context: Context) -> None:
        network = build_network(context.teacher_network())
        importance, answers = ((self._norms(network), None) if self.images is None else
                               self._reaction_of_the_loss(context, network))
        check_importance(importance, network.backbone.unit_groups())
        if answers is not None and context.settings.compression.importance.check_teacher:
            answers.check(self.teacher if isinstance(self.teacher, str) else self.teacher.source)
        if is_main_process():
            importance.save(context.work_dir / self.name / 'importance.json')
        barrier()

    def _reaction_of_the_loss(self, context: Context, network: nn.Module) -> tuple[Importance, Answers]:
        """Importance, and what the network has taken the images for."""
        loader = drawn_batches(context, self.importance['num_images'])
        network = network.to(get_device())
        batches = (context.task.preprocess(network, batch, training=False)
                   for batch in _counted(loader, self.name, context.progress))
        logits = context.cfg.model.get('logits_from') or context.task.logits_from(network)
        answers = Answers(context.task, context.logits_shape[0])
        with watch(network, [logits]) as seen:
            return score(network, answers.counting(batches, seen, logits), level=self.importance['level']), answers

    def _norms(self, network: nn.Module) -> Importance:
        layers, method = network.backbone.filter_layers(), self.importance['method']
        norms = independent_norms(layers) if self.kept is None else greedy_norms(layers, self.kept)
        return Importance(norms, 0, method)


def _counted(loader: DataLoader, stage: str, progress: Progress) -> Iterator[dict]:
    """The loader's batches; asking for the next one tells that those before it have been scored."""
    for i, batch in enumerate(loader):
        progress.update(stage, i / len(loader), 'training images')
        yield batch
