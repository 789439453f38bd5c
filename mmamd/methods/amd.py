"""AMD: candidates trained jointly, one of them chosen as the teacher's assistant, the student distilled from it."""

from dataclasses import dataclass
from typing import Annotated

from mmamd.checks import NOTHING, check, one_of
from mmamd.methods.method import Method, numbered
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS

CANDIDATES = ('joint', 'refit')
STARTS = ('none', 'smallest', 'nested', 'together')


@METHODS.register_module()
@dataclass(frozen=True)
class AMD(Method):
    """Automatic multi-step distillation (ECCV 2024).

    Attributes:
        candidates: How the candidates come to be that the assistant is chosen among: ``'joint'``, trained together
            with shared weights, as published; ``'refit'``, each made good in closed form by ``compression.refit``, so
            that nothing but the student is trained. By default ``'refit'`` where ``compression.refit`` is set and no
            option asks for a joint stage.
        num_assistants: Steps on the way, at least 1; each chooses an assistant among what is smaller than the last.
        start: What the first joint stage starts from: ``'none'``, the teacher's weights, as published;
            ``'smallest'``, those with the smallest candidate made good by ``compression.refit``; ``'nested'``, those
            with all candidates made good, the larger ones without a change to the smaller ones; ``'together'``, those
            that make all of them good on the average. Convolutional networks do not offer the last two.
        tune_epochs: Epochs for which each chosen assistant alone is distilled from its teacher, by the schedule of the
            section ``student`` made that short, before it teaches; 0 lets it teach as it was chosen. A budget
            counts them and does not change their number.

    Source: AMD, supplement Algorithm 1; the refit candidates, the starts from refit weights and the tuning are ours.
    """

    candidates: Annotated[str, one_of(CANDIDATES)] | None = None
    num_assistants: int = 1
    start: Annotated[str, one_of(STARTS)] = 'none'
    tune_epochs: int = 0

    def __post_init__(self) -> None:
        number, epochs = self.num_assistants, self.tune_epochs
        check('method.candidates', self.candidates, one_of(CANDIDATES) | NOTHING)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f'method.num_assistants must be an integer of at least 1, got {number!r}; without an '
                             "assistant it is plain distillation, method.type='mmamd.KD'")
        if self.candidates == 'refit' and number > 1:
            raise ValueError(f"method.num_assistants={number} needs candidates that each assistant trains anew; set "
                             "method.candidates='joint', or one assistant")
        check('method.start', self.start, one_of(STARTS))
        if self.candidates == 'refit' and self.start != 'none':
            raise ValueError(f"method.start={self.start!r} says where a joint stage starts, and there is none with "
                             "method.candidates='refit'; set method.candidates='joint', or method.start='none'")
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
            raise ValueError(f'method.tune_epochs must be an integer of at least 0, got {epochs!r}; 1 or 2 are usual, '
                             '0 leaves the assistant as it was chosen')

    def lay(self, plan: Plan) -> tuple[str, ...]:
        if self.num_assistants > len(plan.grid):
            raise ValueError(f'method.num_assistants={self.num_assistants} needs as many candidates between student '
                             f'and teacher, got the scales {list(plan.grid)}; raise num_candidates')
        wants_joint = self.num_assistants > 1 or self.start != 'none'
        default = 'refit' if plan.has_refit and not wants_joint else 'joint'
        return self._from_refit(plan) if (self.candidates or default) == 'refit' else self._from_joint(plan)

    def _from_refit(self, plan: Plan) -> tuple[str, ...]:
        networks = plan.refit('refit', plan.scales, is_judged=True)
        if networks is None:
            raise ValueError("method.candidates='refit' needs compression.refit, e.g. dict(num_images=3072); got None")
        chosen = plan.select('select', networks, above=plan.student)
        final = plan.refit('refit_final', plan.student, chosen=chosen)
        assistant = self._tuned(plan, 'tune', plan.teacher, chosen, f'{final}@assistant')
        return plan.distil('student', teacher=assistant, into=plan.student, start=plan.start(final, plan.student)),

    def _from_joint(self, plan: Plan) -> tuple[str, ...]:
        teacher = plan.teacher
        start = teacher if self.start == 'none' else plan.shared_start('refit', self.start)
        for number in range(1, self.num_assistants + 1):
            networks = plan.distil(numbered('joint', number), teacher=teacher, into=plan.scales, start=start)
            # As many candidates are left for the assistants still to come.
            above = plan.scales[self.num_assistants - number]
            # What follows starts from the weights that the candidates share, whatever the assistant becomes.
            start = plan.select(numbered('select', number), networks, reference=teacher, above=above)
            teacher = self._tuned(plan, numbered('tune', number), teacher, start, start)
        return plan.distil('student', teacher=teacher, into=plan.student, start=start),

    def _tuned(self, plan: Plan, name: str, teacher: str, chosen: str, start: str) -> str:
        """Reference to the chosen assistant as it is to teach: from the weights of ``start``, tuned if asked."""
        if not self.tune_epochs:
            return start
        return plan.distil(name, teacher=teacher, into=chosen, start=start, epochs=self.tune_epochs)
