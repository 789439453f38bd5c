"""The contract of a method: it lays the stages for one student, and a run of several asks it once for each."""

from mmamd.methods.laid import Laid
from mmamd.methods.plan import Plan
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import Size, Stage


class Method:
    """A way from a teacher to a student. A registered dataclass whose fields are the options of ``method``."""

    def lay(self, plan: Plan) -> tuple[str, ...]:
        """Lay the stages for the student of a plan; returns references to the networks that are delivered."""
        raise NotImplementedError

    def stages(self, context: Context) -> list[Stage]:
        """All stages of a run by this method, in order.

        Students are laid from the largest to the smallest, so that an assistant of a smaller one may be the larger one
        itself; where the size is found by trying, in the order in which sizes are tried, and the last is delivered.

        Raises:
            ValueError: If it does not say what it delivers, or makes nothing that a size could be chosen by.
        """
        laid, is_tried = Laid(context), context.settings.compression.is_auto
        plans = [Plan(laid, student) for student in (context.students if is_tried else context.students[::-1])]
        for plan in plans:
            laid.begin()
            plan.delivered = _checked(self.lay(plan))
            if context.settings.compression.keep is not None:
                self._verify(plan, laid)
        kept = plans[-1:] if is_tried else plans[::-1]
        delivered = [reference for plan in kept for reference in plan.delivered]
        return laid.finish(delivered, [name for plan in kept for name in plan.chosen if name not in delivered])

    def _verify(self, plan: Plan, laid: Laid) -> None:
        if not any(isinstance(stage, Size) for stage in laid.stages):
            raise ValueError(f"compression.student_scale='auto' chooses by candidates, and the method "
                             f'{type(self).__name__} makes none before its student; set '
                             'compression.refit=dict(num_images=3072), or name the scale of the student')
        plan.verify()


def _checked(delivered: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(delivered, str) or not delivered:
        raise ValueError('a method returns a tuple of references to the networks that it delivers, at least one; '
                         f'got {delivered!r}')
    return tuple(delivered)


def numbered(stage: str, number: int) -> str:
    """Name of the n-th repetition of a stage: joint, joint_2, ..."""
    return stage if number == 1 else f'{stage}_{number}'
