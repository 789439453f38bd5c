"""Plain distillation of the same pruned student: the baseline of every other method."""

from dataclasses import dataclass

from mmamd.methods.method import Method
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS


@METHODS.register_module()
@dataclass(frozen=True)
class KD(Method):
    """The teacher distils straight into the student, which starts from its most important units, refitted if asked.

    Source: Hinton et al. 2015, with the terms of ``model.losses``.
    """

    def lay(self, plan: Plan) -> tuple[str, ...]:
        start = plan.start(plan.refit('refit', plan.student), plan.student)
        return plan.distil('student', teacher=plan.teacher, into=plan.student, start=start),
