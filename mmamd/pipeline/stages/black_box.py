"""A teacher that is not pruned: any classifier that there is, in the place of the network that is."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.files.json_file import write_json
from mmamd.pipeline.chance import Answers
from mmamd.pipeline.context import BLACK_BOX, Context
from mmamd.pipeline.inputs import Weights
from mmamd.pipeline.stages.data import drawn_batches
from mmamd.pipeline.stages.held_out import HeldOut
from mmamd.pipeline.stages.stage import Stage
from mmamd.structures import Network
from mmamd.weights.checkpoint import load_weights, warn_of_normalisation
from mmamd.weights.networks import build_network, save_networks

FILE = 'held_out.json'


@dataclass(frozen=True, kw_only=True)
class BlackBox(Stage):
    """Ask the teacher that is not pruned about some training images, and name it: ``networks.json``; and judge it on
    the held-out images, for the record: ``held_out.json``.

    Attributes:
        architecture: Of the teacher.
        weights: The user's; None where its constructor loads them.
        held_out: The images that it is judged on.
    """

    kind: ClassVar[str] = 'black_box'
    name: str = BLACK_BOX
    architecture: dict
    weights: Weights | None
    held_out: HeldOut

    @classmethod
    def of(cls, context: Context) -> 'BlackBox':
        """The stage that a config asks for."""
        weights = context.settings.compression.teacher_weights
        return cls(architecture=context.black_box.architecture, weights=weights and Weights(weights),
                   held_out=HeldOut.of(context, context.images('val').num))

    def check(self, context: Context) -> None:
        """It must have weights, the classes of the network that is pruned, and be no candidate of it."""
        where, network = context.black_box.where, context.black_box.network
        if self.weights is None and not any(self.architecture.get(key) for key in ('pretrained', 'checkpoint_path')):
            raise ValueError(f'{where} has no weights; set compression.teacher_weights to a checkpoint of it, or '
                             'pretrained=True in a TimmClassifier or a HuggingFaceClassifier')
        if isinstance(getattr(network, 'backbone', None), ElasticBackbone):
            raise ValueError(f'{where}.backbone.type={type(network.backbone).__name__!r} is a network to prune, whose '
                             "channels would be taken for the student's own; name the plain backbone that it mirrors")
        own, expected = context.black_box.logits_shape, context.logits_shape
        if own != expected:
            raise ValueError(f'{where} has logits of shape {own} (classes first), the network that is pruned '
                             f'{expected}; give both the classes of the data')
        self.held_out.check(context)
        if self.weights is not None:
            load_weights(network, self.weights.source)
            warn_of_normalisation(self.architecture.get('data_preprocessor'), self.weights.source)

    def macs(self, context: Context) -> float:
        settings = context.settings.compression.importance
        num = min(settings.num_images, context.images('train').num) if settings.check_teacher else 0
        return context.black_box.cost.macs * (num + self.held_out.num)

    def carry_out(self, context: Context) -> None:
        teacher = Network(self.architecture, self.weights and self.weights.source, cost=context.black_box.cost)
        network = build_network(teacher).to(get_device())
        if context.settings.compression.importance.check_teacher:
            self._check_answers(context, network)
        if is_main_process():
            value = self.held_out.judge(context, {self.name: network}, context.seed)[self.name]
            write_json(context.work_dir / self.name / FILE, {context.metric: value})
            save_networks(context.work_dir, self.name, {teacher.key: teacher})
        barrier()

    @torch.no_grad()
    def _check_answers(self, context: Context, network: nn.Module) -> None:
        answers, seen = Answers(context.task, context.logits_shape[0]), {}
        loader = drawn_batches(context, context.settings.compression.importance.num_images)
        batches = (context.task.preprocess(network, batch, training=False) for batch in loader)
        for batch in answers.counting(batches, seen, 'logits'):
            seen['logits'] = network(batch['inputs'], mode='tensor')
        answers.check('of compression.teacher_architecture')
