"""TAKD: teacher assistants in sequence."""

from dataclasses import dataclass
from typing import ClassVar

from mmamd.methods.assistants import WithAssistants, assistant, from_refit
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS


@METHODS.register_module()
@dataclass(frozen=True)
class TAKD(WithAssistants):
    """Assistants from large to small, each taught by the one before it, and the student by the last.

    Source: Mirzadeh et al., "Improved Knowledge Distillation via Teacher Assistant", AAAI 2020.
    """

    in_sequence: ClassVar[bool] = True

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        distil, teacher = from_refit(plan, scales), plan.teacher
        for scale in scales:
            teacher = distil(assistant(scale), teacher, scale)
        return distil('student', teacher, plan.student),
