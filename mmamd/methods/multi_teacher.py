"""Several teachers in progression: the student learns from one after another, from the smallest to the teacher."""

from dataclasses import dataclass

from mmamd.methods.assistants import WithAssistants, assistant, from_refit
from mmamd.methods.plan import Plan
from mmamd.registry import METHODS
from mmamd.structures import scale_key


@METHODS.register_module()
@dataclass(frozen=True)
class MultiTeacher(WithAssistants):
    """Assistants are trained apart; one student is distilled from each in turn, from small to large, the teacher last.

    Hidden states come first: the terms ``last`` are left out until the teacher itself teaches. Each training of the
    student goes on from the one before. Our reading, for classification, of a method for detectors: its teachers are
    ordered by how alike their states are, those of one family by their size.

    Attributes:
        last: Names of the terms of ``student.losses`` that wait for the teacher.

    Source: Cao et al., "Learning Lightweight Object Detectors via Multi-Teacher Progressive Distillation", ICML 2023,
    as AMD, supplement 6, compares with it.
    """

    last: tuple[str, ...] = ('logit',)

    def lay(self, plan: Plan) -> tuple[str, ...]:
        scales = self.scales(plan)
        distil, options = from_refit(plan, scales), {'without': self.last}
        teachers = {scale: distil(assistant(scale), plan.teacher, scale) for scale in scales}
        for scale, teacher in teachers.items():
            options['start'] = distil(f'student_{scale_key(scale)}', teacher, plan.student, **options)
        return distil('student', plan.teacher, plan.student, start=options['start']),
