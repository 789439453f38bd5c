"""Rank the units, reorder the teacher by them, and cut the family of candidates."""

from dataclasses import dataclass
from typing import ClassVar

from mmengine.dist import barrier, is_main_process

from mmamd.export import save_student
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Weights
from mmamd.pipeline.stages.stage import Stage
from mmamd.pruning.candidates import make_family
from mmamd.pruning.complexity import cost_function
from mmamd.pruning.importance import check_importance
from mmamd.structures import Importance, Network
from mmamd.weights.networks import build_network, save_networks


@dataclass(frozen=True, kw_only=True)
class Nest(Stage):
    """Nest the candidates: ``family.json``, and the teacher with its units in their order, ``reordered.pth``.

    Attributes:
        teacher: The user's weights, or a reference to the stage that trained them.
        architecture: Of the network.
        scales: Of the candidates, the student's first.
        scale_by, prune, round_to: As :func:`mmamd.pruning.make_family` takes them.
    """

    kind: ClassVar[str] = 'nest'
    name: str = 'nest'
    teacher: str | Weights
    architecture: dict
    scales: list
    scale_by: str
    prune: tuple
    round_to: int

    @classmethod
    def of(cls, context: Context) -> 'Nest':
        """The stage that a config asks for."""
        settings = context.settings.compression
        return cls(teacher=context.teacher, architecture=context.architecture, scales=settings.family_scales,
                   scale_by=settings.scale_by, prune=settings.prune, round_to=settings.round_to)

    def networks(self) -> list[str]:
        return [self.teacher] if isinstance(self.teacher, str) else []

    def files(self) -> list[str]:
        return ['score/importance.json']

    def check(self, context: Context) -> None:
        _ = context.flat_family  # refuses scales that cannot be

    def carry_out(self, context: Context) -> None:
        network = build_network(context.teacher_network())  # on every rank: loading from a URL is a collective call
        if is_main_process():
            folder = context.work_dir / self.name
            groups = network.backbone.unit_groups()
            importance = Importance.load(context.work_dir / 'score' / 'importance.json')
            check_importance(importance, groups)
            family = make_family(groups, importance, cost_function(network), self.scales, scale_by=self.scale_by,
                                 prune=self.prune, round_to=self.round_to, beside=context.beside)
            network.backbone.reorder(family.order)
            family.save(folder / 'family.json')
            save_student(network, folder / 'reordered.pth')
            save_networks(context.work_dir, self.name, {'1.00': Network(
                self.architecture, str(folder / 'reordered.pth'), cost=family.teacher_cost)})
        barrier()
