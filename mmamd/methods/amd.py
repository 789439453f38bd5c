"""AMD: candidates trained jointly, one of them chosen as the teacher's assistant, the student distilled from it."""

from dataclasses import dataclass

from mmamd.methods.plan import Method, Plan, numbered
from mmamd.registry import METHODS


@METHODS.register_module()
@dataclass(frozen=True)
class AMD(Method):
    """Automatic multi-step distillation (ECCV 2024).

    Attributes:
        num_assistants: Steps on the way, at least 1; each chooses an assistant among what is smaller than the last.

    Source: AMD, supplement Algorithm 1.
    """

    num_assistants: int = 1

    def __post_init__(self) -> None:
        number = self.num_assistants
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f'method.num_assistants must be an integer of at least 1, got {number!r}; without an '
                             "assistant it is plain distillation, method.type='mmamd.KD'")

    def lay(self, plan: Plan) -> tuple[str, ...]:
        if self.num_assistants > len(plan.grid):
            raise ValueError(f'method.num_assistants={self.num_assistants} needs as many candidates between student '
                             f'and teacher, got the scales {list(plan.grid)}; raise num_candidates')
        teacher = plan.teacher
        for number in range(1, self.num_assistants + 1):
            networks = plan.distil(numbered('joint', number), teacher=teacher, into=plan.scales)
            # As many candidates are left for the assistants still to come.
            above = plan.scales[self.num_assistants - number]
            teacher = plan.select(numbered('select', number), networks, reference=teacher, above=above)
        return plan.distil('student', teacher=teacher, into=plan.student),
