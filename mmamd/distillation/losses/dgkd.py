"""Densely guided distillation: the teacher and all earlier assistants teach at once, some left out at random.

Legend: N samples, C classes, ``...`` positions of a dense prediction (H, W), T temperature.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmamd.distillation.losses.logit import check_temperature, logit_loss
from mmamd.distillation.losses.loss import Loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def dgkd_loss(student_NC: Tensor, teachers: Sequence[Tensor], temperature: float = 5.0) -> Tensor:
    """Sum, over networks that teach, of ``T^2 * KL(softmax(teacher / T) || softmax(student / T))``.

    Args:
        student_NC: Logits, shape (N, C) or (N, C, ...).
        teachers: Logits of the same shape, of the teacher and of each assistant; at least one.
        temperature: T > 0.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: The shapes differ, nobody teaches, or the temperature is not positive.

    Source: Son et al., "Densely Guided Knowledge Distillation using Multiple Teacher Assistants", ICCV 2021, section 3.
    Their code takes the mean over the classes too, which makes the sum smaller by C.
    """
    if not teachers:
        raise ValueError('DGKD needs the logits of at least one network that teaches, got none')
    return sum(logit_loss(student_NC, teacher_NC, temperature) for teacher_NC in teachers)


def left_out(num_teachers: int, num_dropped: int, seed: int, iteration: int) -> set[int]:
    """Indices of the networks that do not teach in a step; a function of its arguments alone."""
    rng = np.random.default_rng([seed, iteration])
    return set(rng.choice(num_teachers, num_dropped, replace=False).tolist())


@MODELS.register_module()
class DGKDLoss(Loss):
    """:func:`dgkd_loss` of the networks that teach, of which each step leaves some out, drawn by (seed, iteration).

    A value is the sum over those that are left, where that of another term is the mean over all. One that teaches
    alone, as the teacher does its first assistant, is never left out. In the paper this term has weight lambda and the
    task's own loss 1 - lambda.

    Args:
        temperature: T > 0.
        num_dropped: How many are left out, less than there are where several teach.
        weight: Factor of the term. The defaults 5, 1 and 1 are those of their code.

    Raises:
        ValueError: The temperature is not positive, or ``num_dropped`` is negative or leaves nobody of several.
    """

    needs_several = True

    def __init__(self, *, temperature: float = 5.0, num_dropped: int = 1, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        check_temperature(temperature)
        if isinstance(num_dropped, bool) or not isinstance(num_dropped, int) or num_dropped < 0:
            raise ValueError(f'num_dropped must be an integer of at least 0, got {num_dropped!r}; 0 lets all teach in '
                             'every step')
        self.temperature = temperature
        self.num_dropped = num_dropped

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        if self.num_dropped >= len(teachers) > 1:
            raise ValueError(f'num_dropped must be less than the number of networks that teach, {len(teachers)}, got '
                             f'{self.num_dropped}; set num_dropped={len(teachers) - 1} or fewer')
        self.register_buffer('seed', torch.randint(2**31, ()))
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        num = len(self.pairs)
        if num > 1 and index in left_out(num, self.num_dropped, int(self.seed), int(self.iteration)):
            return torch.zeros((), device=student.logits.device)
        # The mean over all that teach is taken of this, and the sum is wanted.
        return num * dgkd_loss(student.logits, [teacher.logits], self.temperature)

    def after_step(self, student: Outputs, teachers: list[Outputs]) -> None:
        self.iteration += 1
