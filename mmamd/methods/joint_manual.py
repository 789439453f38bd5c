"""Manual selection after the joint stage: a student from every candidate and the best of them kept."""

from dataclasses import dataclass

from mmamd.methods.assistants import WithAssistants
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS
from mmamd.structures import scale_key


@METHODS.register_module()
@dataclass(frozen=True)
class JointManual(WithAssistants):
    """All candidates are trained jointly, a student distilled from each assistant, and the best student kept.

    AMD without its rule: what differs between the two is what the choice loses. The joint stage starts from the
    teacher's weights, or with ``compression.refit`` from those with the smallest candidate made good, as AMD's does by
    ``start='smallest'``; students start from what it has made.

    Source: AMD, supplement 4.
    """

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        start = plan.shared_start('refit', 'smallest') if plan.has_refit else plan.teacher
        joint = plan.distil('joint', teacher=plan.teacher, into=plan.scales, start=start)
        students = [plan.distil(f'student_{scale_key(scale)}', teacher=f'{joint}@{scale_key(scale)}',
                                into=plan.student) for scale in scales]
        return plan.select('select', students, rule='best'),
