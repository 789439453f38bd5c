"""Densely guided distillation: all who have been taught before teach the next."""

from dataclasses import dataclass
from typing import ClassVar

from mmamd.methods.assistants import WithAssistants, assistant, from_refit
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS


@METHODS.register_module()
@dataclass(frozen=True)
class DGKD(WithAssistants):
    """Assistants from large to small, each taught by the teacher and by all assistants before it; so is the student.

    Their term is :class:`mmamd.distillation.losses.dgkd.DGKDLoss`; of any other the mean over those that teach is
    taken. The first assistant has the teacher alone. Without a refit each starts from the weights of the one before.

    Source: Son et al., "Densely Guided Knowledge Distillation using Multiple Teacher Assistants", ICCV 2021.
    """

    in_sequence: ClassVar[bool] = True

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        distil, teachers = from_refit(plan, scales), [plan.teacher]
        for scale in scales:
            teachers = [distil(assistant(scale), teachers, scale), *teachers]
        return distil('student', teachers, plan.student),
