"""Make pruned networks good in closed form, without training."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process

from mmamd.backbones.recalibration import batch_norms
from mmamd.export import save_student
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Images, pipeline_of
from mmamd.pipeline.stages.data import drawn_images, image_batches
from mmamd.pipeline.stages.held_out import HeldOut
from mmamd.pipeline.stages.stage import Stage
from mmamd.pruning.dense_read_out import DenseReadOut
from mmamd.pruning.refit import ReadOut, Record, Step, macs_of_products, refit
from mmamd.pruning.shared_refit import joint_steps, nested_steps
from mmamd.structures import scale_key
from mmamd.tasks import Task
from mmamd.visualization.refit_plot import Refitted, RefittedNetwork
from mmamd.weights.networks import build_network, find_network, save_networks

# Most images a batch. The solution does not depend on it, but for batch norms, whose variances are those of one.
BATCH = 64
RECORD = 'refit.json'


@dataclass(frozen=True, kw_only=True)
class Refit(Stage):
    """Refit candidates towards their teacher: ``networks.json`` and ``refit.json``.

    Each is a network of its own, under its key, with weights of all sizes of which the leading part is refitted; or
    all are one network, under the key ``'1.00'``, where they share their weights.

    Attributes:
        teacher: Reference to the teacher, its units in their order.
        into: Scales of the candidates, ascending where they share their weights.
        chosen: Name -> reference to a network whose candidate is refitted too, under that name.
        architecture: Of the networks.
        num_images: Training images; all, when there are fewer.
        ridge, classifier: As :class:`mmamd.pipeline.config.compression.RefitSettings` has them.
        images, pipeline, seed: Which images, how they are read, and by which seed they are drawn.
        sharing: How the candidates share their weights, ``'nested'`` or ``'together'``
            (:mod:`mmamd.pruning.shared_refit`); None where each has its own.
        reported: Held-out images on which the networks are judged as they were cut and as they are refit, for the
            report alone; None where none is judged, as of candidates that share their weights.
    """

    kind: ClassVar[str] = 'refit'
    teacher: str
    into: tuple
    chosen: dict
    architecture: dict
    num_images: int
    ridge: float
    classifier: bool
    images: Images
    pipeline: list | None
    seed: int
    sharing: str | None = None
    reported: HeldOut | None = None

    @classmethod
    def fields_of(cls, context: Context, num_images: int, sharing: str | None = None) -> dict:
        """The fields that the config says; of candidates that share their weights none is judged for the report."""
        settings = context.settings.compression.refit
        is_augmented = bool(batch_norms(context.network))
        loader = context.cfg.train_dataloader if is_augmented else context.cfg.test_dataloader
        return dict(architecture=context.architecture, num_images=min(num_images, context.images('train').num),
                    ridge=settings.ridge, classifier=settings.classifier, images=context.images('train'),
                    pipeline=pipeline_of(loader), seed=context.seed, sharing=sharing,
                    reported=None if sharing else HeldOut.of(context, settings.num_reported))

    def networks(self) -> list[str]:
        return [self.teacher, *self.chosen.values()]

    def files(self) -> list[str]:
        return ['nest/family.json']

    def check(self, context: Context) -> None:
        if self.sharing:
            self._shared_products(context)  # refuses candidates that share norms
        steps_of(context.network, context.task, self.classifier)  # refuses a backbone that offers none
        if self.reported is not None:
            self.reported.check(context)

    def macs(self, context: Context) -> float:
        scales = [*self.into, *(context.scale_of(reference) for reference in self.chosen.values())]
        passes = context.macs_at(1 + sum(scales), 1 + len(scales))
        products = (self._shared_products(context) if self.sharing else
                    sum(self._products(context, scale) for scale in scales))
        return self.num_images * (passes + products) + context.macs_at(
            self._report_macs(1., sum(scales)), self._report_macs(1., len(scales)))

    def _report_macs(self, teacher: float, networks: float) -> float:
        """MACs that judging takes: the teacher once, each network before and after."""
        return 0. if self.reported is None else self.reported.num * (teacher + 2 * networks)

    def _products(self, context: Context, scale: float) -> float:
        """MACs of the equations' products, an image, of the candidate nearest to a scale."""
        candidate = min(context.flat_family.candidates, key=lambda each: abs(each.scale - scale))
        key = f'refit {candidate.key} {self.classifier}'
        if key not in context.counted:
            network = context.network
            network.backbone.activate(candidate.kept)
            try:
                context.counted[key] = macs_of_products(steps_of(network, context.task, self.classifier),
                                                        torch.zeros(1, *context.input_shape))
            finally:
                network.backbone.activate(None)
        return context.counted[key]

    def _shared_products(self, context: Context) -> float:
        """The same of all candidates that share their weights."""
        key = f'{self.sharing} refit {self.into} {self.classifier}'
        if key not in context.counted:
            candidates = {scale_key(scale): context.flat_family.at(scale).kept for scale in self.into}
            image = torch.zeros(1, *context.input_shape)
            try:
                steps = self._shared_steps(context, context.network, candidates)
                context.counted[key] = sum(macs_of_products(own, image) for own in steps.values())
            finally:
                context.network.backbone.activate(None)
        return context.counted[key]

    def _shared_steps(self, context: Context, network: nn.Module, kept: dict[str, dict]) -> dict[str, Sequence[Step]]:
        """Key -> steps that a refit walks along; one key for all candidates that are solved together."""
        arguments = kept, network.backbone.activate, lambda: steps_of(network, context.task, self.classifier)
        return nested_steps(*arguments) if self.sharing == 'nested' else {'together': joint_steps(*arguments)}

    def carry_out(self, context: Context) -> None:
        began = time.monotonic()
        folder = context.work_dir / self.name
        folder.mkdir(parents=True, exist_ok=True)
        teacher = find_network(context.work_dir, self.teacher)
        candidates = {scale_key(scale): context.family.at(scale) for scale in self.into}
        candidates |= {name: find_network(context.work_dir, reference) for name, reference in self.chosen.items()}
        written = {scale_key(1.): teacher} if self.sharing else {
            key: replace(teacher, scale=each.scale, kept=each.kept, cost=each.cost) for key, each in candidates.items()}
        whole = build_network(teacher).to(get_device())
        modules = {key: build_network(network).to(get_device()) for key, network in written.items()}
        performance = self._judged(context, {'teacher': whole, **modules}, 'cut')
        steps = (self._shared_steps(context, modules[scale_key(1.)], {key: c.kept for key, c in candidates.items()})
                 if self.sharing else
                 {key: steps_of(module, context.task, self.classifier) for key, module in modules.items()})
        records = refit(steps_of(whole, context.task, self.classifier), steps, self._batches(context, whole),
                        ridge=self.ridge, folder=folder, tell=partial(context.progress.update, self.name))
        performance |= self._judged(context, modules, 'refit')
        macs = sum(each.cost.macs for each in candidates.values())
        context.spend(self.name, time.monotonic() - began,
                      self.num_images * (teacher.cost.macs + macs) + sum(record.macs for record in records.values())
                      + self._report_macs(teacher.cost.macs, macs))
        networks = {key: replace(network, weights=str(folder / f'{key}.pth')) for key, network in written.items()}
        if is_main_process():
            for key, network in networks.items():
                save_student(modules[key], network.weights)
            scales = {key: candidates[key].scale if key in candidates else 1. for key in records}
            self._record(records, scales, performance).save(folder / RECORD)
            save_networks(context.work_dir, self.name, networks)
        barrier()

    def _judged(self, context: Context, modules: dict[str, nn.Module], state: str) -> dict[tuple[str, str], float]:
        """(Key, state) -> performance, on the first rank."""
        if self.reported is None or not is_main_process():
            return {}
        found = self.reported.judge(context, modules, self.seed)
        return {(key, state): value for key, value in found.items()}

    def _record(self, records: dict[str, Record], scales: dict[str, float],
                performance: dict[tuple[str, str], float]) -> Refitted:
        found = {key: RefittedNetwork(
            scales[key], performance.get((key, 'cut')), performance.get((key, 'refit')), record.macs,
            record.errors) for key, record in records.items()}
        reported = self.reported
        return Refitted(self.num_images, found, reported.metric if reported else None,
                        reported.num if reported else 0, performance.get(('teacher', 'cut')))

    def _batches(self, context: Context, network: nn.Module) -> list[torch.Tensor]:
        """This process's share of the images: whole batches in turn."""
        is_augmented = bool(batch_norms(network))
        images = drawn_images(context, self.num_images, augmented=is_augmented)
        size = max(1, min(BATCH, self.num_images // get_world_size()))  # so that every process has one
        batches = image_batches(context, images, network.data_preprocessor, size, 'refit', augmented=is_augmented)
        return [batch for i, batch in enumerate(batches) if i % get_world_size() == get_rank()]


def steps_of(network: nn.Module, task: Task, with_classifier: bool) -> Sequence[Step]:
    """A network as the steps of a refit: its backbone's, and the last layers of its head.

    Raises:
        ValueError: If the backbone offers no steps, or the head has no layer that makes the logits of its last stage.
    """
    steps = network.backbone.steps()
    classifiers = task.classifiers(network) if with_classifier else {}
    if with_classifier and not classifiers:
        raise ValueError(f'the head of this {type(network).__name__} has no layer of its own that makes the logits of '
                         'what the last stage puts out, which a refit would solve; set '
                         'compression.refit.classifier=False')
    return steps + [(ReadOut if isinstance(layer, nn.Linear) else DenseReadOut)(
        f'head.{name}', layer, lambda x: task.rest(network, network.backbone.finish(x)))
        for name, layer in classifiers.items()]
