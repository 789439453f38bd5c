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
from mmamd.pruning.refit import ReadOut, Record, Step, macs_of_products, refit
from mmamd.structures import Network, scale_key
from mmamd.tasks import Task
from mmamd.visualization.refit_plot import Refitted, RefittedNetwork
from mmamd.weights.networks import build_network, find_network, save_networks

# Most images a batch. The solution does not depend on it, but for batch norms, whose variances are those of one.
BATCH = 64
RECORD = 'refit.json'


@dataclass(frozen=True, kw_only=True)
class Refit(Stage):
    """Refit candidates towards their teacher, each a network of its own: ``networks.json`` and ``refit.json``.

    Attributes:
        teacher: Reference to the teacher, its units in their order.
        into: Scales of the candidates.
        chosen: Name -> reference to a network whose candidate is refitted too, under that name.
        architecture: Of the networks.
        num_images: Training images; all, when there are fewer.
        ridge, classifier: As :class:`mmamd.pipeline.compression.RefitSettings` has them.
        images, pipeline, seed: Which images, how they are read, and by which seed they are drawn.
        reported: Held-out images on which the networks are judged as they were cut and as they are refit, for the
            report alone; None judges none.
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
    reported: HeldOut | None = None

    @classmethod
    def fields_of(cls, context: Context, num_images: int) -> dict:
        """The fields that the config says."""
        settings = context.settings.compression.refit
        is_augmented = bool(batch_norms(context.network))
        loader = context.cfg.train_dataloader if is_augmented else context.cfg.test_dataloader
        return dict(architecture=context.architecture, num_images=min(num_images, context.images('train').num),
                    ridge=settings.ridge, classifier=settings.classifier, images=context.images('train'),
                    pipeline=pipeline_of(loader), seed=context.seed,
                    reported=HeldOut.of(context, settings.num_reported))

    def networks(self) -> list[str]:
        return [self.teacher, *self.chosen.values()]

    def files(self) -> list[str]:
        return ['nest/family.json']

    def check(self, context: Context) -> None:
        steps_of(context.network, context.task, self.classifier)  # refuses a backbone that offers none
        if self.reported is not None:
            self.reported.check(context)

    def macs(self, context: Context) -> float:
        scales = [*self.into, *(context.scale_of(reference) for reference in self.chosen.values())]
        passes = (1 + sum(scales)) * context.teacher_cost.macs
        products = sum(self._products(context, scale) for scale in scales)
        return self.num_images * (passes + products) + self._report_macs(1., sum(scales)) * context.teacher_cost.macs

    def _report_macs(self, teacher: float, networks: float) -> float:
        """What judging takes, in the unit of the arguments: the teacher once, each network before and after."""
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

    def carry_out(self, context: Context) -> None:
        began = time.monotonic()
        folder = context.work_dir / self.name
        folder.mkdir(parents=True, exist_ok=True)
        teacher = find_network(context.work_dir, self.teacher)
        family = context.family
        candidates = {scale_key(scale): family.at(scale) for scale in self.into}
        candidates |= {name: find_network(context.work_dir, reference) for name, reference in self.chosen.items()}
        networks = {key: replace(teacher, weights=str(folder / f'{key}.pth'), scale=each.scale, kept=each.kept,
                                 cost=each.cost) for key, each in candidates.items()}
        whole = build_network(teacher).to(get_device())
        modules = {key: build_network(replace(network, weights=teacher.weights)).to(get_device())
                   for key, network in networks.items()}
        performance = self._judged(context, {'teacher': whole, **modules}, 'cut')
        records = refit(
            steps_of(whole, context.task, self.classifier),
            {key: steps_of(module, context.task, self.classifier) for key, module in modules.items()},
            self._batches(context, whole), ridge=self.ridge, folder=folder,
            tell=partial(context.progress.update, self.name))
        performance |= self._judged(context, modules, 'refit')
        macs = sum(network.cost.macs for network in networks.values())
        context.spend(self.name, time.monotonic() - began,
                      self.num_images * (teacher.cost.macs + macs) + sum(record.macs for record in records.values())
                      + self._report_macs(teacher.cost.macs, macs))
        if is_main_process():
            for key, network in networks.items():
                save_student(modules[key], network.weights)
            self._record(records, networks, performance).save(folder / RECORD)
            save_networks(context.work_dir, self.name, networks)
        barrier()

    def _judged(self, context: Context, modules: dict[str, nn.Module], state: str) -> dict[tuple[str, str], float]:
        """(Key, state) -> performance, on the first rank."""
        if self.reported is None or not is_main_process():
            return {}
        found = self.reported.judge(context, modules, self.seed)
        return {(key, state): value for key, value in found.items()}

    def _record(self, records: dict[str, Record], networks: dict[str, Network],
                performance: dict[tuple[str, str], float]) -> Refitted:
        found = {key: RefittedNetwork(
            networks[key].scale, performance.get((key, 'cut')), performance.get((key, 'refit')), record.macs,
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
        ValueError: If the backbone offers no steps, or the head has no linear layer that gives the logits.
    """
    steps = network.backbone.steps()
    classifiers = task.classifiers(network) if with_classifier else {}
    if with_classifier and not classifiers:
        raise ValueError(f'the head {type(network.head).__name__} has no linear layer whose outputs are the logits, '
                         'which a refit would solve; set compression.refit.classifier=False')
    return steps + [ReadOut(f'head.{name}', linear, lambda x: task.rest(network, network.backbone.finish(x)))
                    for name, linear in classifiers.items()]
