"""AMD: candidates trained jointly, one of them chosen as the teacher's assistant, the student distilled from it."""

from dataclasses import dataclass

from mmamd.methods.plan import Method, Plan, numbered
from mmamd.registry import METHODS

CANDIDATES = ('joint', 'refit')


@METHODS.register_module()
@dataclass(frozen=True)
class AMD(Method):
    """Automatic multi-step distillation (ECCV 2024).

    Attributes:
        candidates: How the candidates come to be that the assistant is chosen among: ``'joint'``, trained together
            with shared weights, as published; ``'refit'``, each made good in closed form by ``compression.refit``, so
            that nothing but the student is trained.
        num_assistants: Steps on the way, at least 1; each chooses an assistant among what is smaller than the last.

    Source: AMD, supplement Algorithm 1; the refit candidates are ours.
    """

    candidates: str = 'joint'
    num_assistants: int = 1

    def __post_init__(self) -> None:
        number = self.num_assistants
        if self.candidates not in CANDIDATES:
            raise ValueError(f'method.candidates must be one of {CANDIDATES}, got {self.candidates!r}')
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f'method.num_assistants must be an integer of at least 1, got {number!r}; without an '
                             "assistant it is plain distillation, method.type='mmamd.KD'")
        if self.candidates == 'refit' and number > 1:
            raise ValueError(f"method.num_assistants={number} needs candidates that each assistant trains anew; set "
                             "method.candidates='joint', or one assistant")

    def lay(self, plan: Plan) -> tuple[str, ...]:
        if self.num_assistants > len(plan.grid):
            raise ValueError(f'method.num_assistants={self.num_assistants} needs as many candidates between student '
                             f'and teacher, got the scales {list(plan.grid)}; raise num_candidates')
        return self._from_refit(plan) if self.candidates == 'refit' else self._from_joint(plan)

    def _from_refit(self, plan: Plan) -> tuple[str, ...]:
        networks = plan.refit('refit', plan.scales, is_judged=True)
        if networks is None:
            raise ValueError("method.candidates='refit' needs compression.refit, e.g. dict(num_images=3072); got None")
        chosen = plan.select('select', networks, above=plan.student)
        final = plan.refit('refit_final', plan.student, chosen=chosen)
        return plan.distil('student', teacher=f'{final}@assistant', into=plan.student,
                           start=plan.start(final, plan.student)),

    def _from_joint(self, plan: Plan) -> tuple[str, ...]:
        teacher = plan.teacher
        for number in range(1, self.num_assistants + 1):
            networks = plan.distil(numbered('joint', number), teacher=teacher, into=plan.scales)
            # As many candidates are left for the assistants still to come.
            above = plan.scales[self.num_assistants - number]
            teacher = plan.select(numbered('select', number), networks, reference=teacher, above=above)
        return plan.distil('student', teacher=teacher, into=plan.student),
