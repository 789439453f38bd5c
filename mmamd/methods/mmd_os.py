"""MMD-OS: manual multi-step distillation with the optimal selection, one student from the assistant that is chosen."""

from dataclasses import dataclass

from mmamd.methods.assistants import WithAssistants, assistant, from_refit
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS


@METHODS.register_module()
@dataclass(frozen=True)
class MMDOS(WithAssistants):
    """Every assistant is trained apart, the configured rule chooses one of them, and it alone teaches a student.

    AMD without its joint stage: what differs between the two is what training the candidates together does.

    Source: AMD, supplement 3, figure 1.
    """

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        distil = from_refit(plan, scales)
        assistants = [distil(assistant(scale), plan.teacher, scale) for scale in scales]
        chosen = plan.select('select', assistants, above=plan.student)
        return distil('student', chosen, plan.student),
