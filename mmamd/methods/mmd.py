"""MMD: manual multi-step distillation, a student from every assistant and the best of them kept."""

from dataclasses import dataclass

from mmamd.methods.plan import Method, Plan
from mmamd.registry import METHODS
from mmamd.structures import scale_key


@METHODS.register_module()
@dataclass(frozen=True)
class MMD(Method):
    """Every assistant is trained apart, a student distilled from each, and the best student on held-out images kept.

    Attributes:
        assistants: Their scales; by default all candidates between student and teacher.

    Source: AMD, supplement 4 and 8.
    """

    assistants: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.assistants is not None and (not isinstance(self.assistants, tuple) or not self.assistants):
            raise ValueError(f'method.assistants must be the scales of at least one assistant, e.g. [0.2, 0.5], got '
                             f'{self.assistants!r}')

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = plan.grid if self.assistants is None else self.assistants
        for scale in scales:
            plan.check_scale('method.assistants', scale)
        refit, students = plan.refit('refit', [plan.student, *scales]), []
        for scale in scales:
            assistant = plan.distil(f'assistant_{scale_key(scale)}', teacher=plan.teacher, into=scale,
                                    start=plan.start(refit, scale))
            students.append(plan.distil(f'student_{scale_key(scale)}', teacher=assistant, into=plan.student,
                                        start=plan.start(refit, plan.student)))
        return plan.select('select', students, rule='best'),
