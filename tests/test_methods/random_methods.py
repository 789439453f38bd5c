"""Methods drawn at random: who teaches whom, what is trained jointly, what is chosen on the way."""

from dataclasses import dataclass

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmamd.methods import Method
from mmamd.registry import METHODS


@METHODS.register_module(force=True)
@dataclass(frozen=True)
class Drawn(Method):
    """A few networks, each trained by one of those before it or by several, and a student of one of them."""

    number: int = 0

    def lay(self, plan):
        rng = np.random.default_rng(self.number)
        known = [plan.teacher]
        for i in range(int(rng.integers(1, 4))):
            teacher = known[int(rng.integers(len(known)))]
            kind = rng.choice(['one', 'joint', 'several teachers'])
            if kind == 'joint' and teacher == plan.teacher:
                joint = plan.distil(f'joint_{i}', teacher=teacher, into=plan.scales)
                known.append(plan.select(f'select_{i}', joint, reference=teacher, above=plan.student))
            elif kind == 'several teachers':
                known.append(plan.distil(f'many_{i}', teacher=list(dict.fromkeys([plan.teacher, teacher])),
                                         into=0.5, start=plan.teacher))
            else:
                known.append(plan.distil(f'one_{i}', teacher=teacher, into=0.5, start=plan.teacher))
        students = [plan.distil(f'student_{i}', teacher=known[-1 - i], into=plan.student, start=plan.teacher)
                    for i in range(min(len(known), int(rng.integers(1, 3))))]
        return (plan.select('best', students, rule='best'),) if len(students) > 1 else tuple(students)


@HOOKS.register_module(force=True)
class StopAfter(Hook):
    """Raise KeyboardInterrupt after so many steps of training in this process, like a person would."""

    left = None  # steps; None never stops

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if StopAfter.left is not None:
            StopAfter.left -= 1
            if StopAfter.left < 0:
                raise KeyboardInterrupt
