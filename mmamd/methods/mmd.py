"""MMD: manual multi-step distillation, a student from every assistant and the best of them kept."""

from dataclasses import dataclass

from mmamd.methods.assistants import WithAssistants, assistant, from_refit
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS
from mmamd.structures import scale_key


@METHODS.register_module()
@dataclass(frozen=True)
class MMD(WithAssistants):
    """Every assistant is trained apart, a student distilled from each, and the best student on held-out images kept.

    Source: AMD, supplement 4 and 8.
    """

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        distil, students = from_refit(plan, scales), []
        for scale in scales:
            teacher = distil(assistant(scale), plan.teacher, scale)
            students.append(distil(f'student_{scale_key(scale)}', teacher, plan.student))
        return plan.select('select', students, rule='best'),
