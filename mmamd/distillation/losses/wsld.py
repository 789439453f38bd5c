"""Weighted soft labels: a sample that the student has learnt better than the teacher is taught less.

Legend: N samples, C classes, T temperature.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.dkd import check_logits_and_target
from mmamd.distillation.losses.logit import check_temperature
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

# Cross-entropy of a teacher below which it counts as sure, in nats: a ratio to 0 would be no number.
LEAST = 1e-7


def wsld_loss(student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor, temperature: float = 2.0) -> Tensor:
    """``T^2 w_i`` times the cross-entropy of softened teacher and student, mean over samples.

    The weights are those of :func:`soft_label_weights` and carry no gradient. What is weighed is the cross-entropy, not
    the divergence, so the loss is not 0 for a student that equals the teacher; its gradient is.

    Args:
        student_NC: Logits, shape (N, C), C >= 2.
        teacher_NC: Logits of the same shape.
        target_N: Class index of each sample, int64, shape (N,).
        temperature: T > 0.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: The temperature is not positive, or the shapes do not agree.

    Source: Zhou et al., "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective", ICLR
    2021, section 4, without the task's own cross-entropy, which is a term of its own.
    """
    check_temperature(temperature)
    check_logits_and_target('WSLD', student_NC, teacher_NC, target_N)
    weights_N = soft_label_weights(student_NC, teacher_NC, target_N)
    return temperature**2 * (weights_N * soft_cross_entropy(student_NC, teacher_NC, temperature)).mean()


def soft_label_weights(student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor) -> Tensor:
    """``1 - exp(-CE_student / CE_teacher)`` of the target, not softened; shape (N,), in [0, 1], without gradient."""
    student_N, teacher_N = (F.cross_entropy(at_least_float32(logits.detach()), target_N, reduction='none')
                            for logits in (student_NC, teacher_NC))
    return -torch.expm1(-student_N / teacher_N.clamp(min=LEAST))


def soft_cross_entropy(student_NC: Tensor, teacher_NC: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the softened probabilities of each sample, shape (N,); no T^2."""
    teacher_NC = (at_least_float32(teacher_NC) / temperature).softmax(dim=1)
    return -(teacher_NC * (at_least_float32(student_NC) / temperature).log_softmax(dim=1)).sum(dim=1)


@MODELS.register_module()
class WSLDLoss(Loss):
    """:func:`wsld_loss` with a fixed temperature; the target is the task's one class a sample.

    Under mixup or cutmix the target of a sample is the class of its larger share: the argmax of ``gt_score``.

    Args:
        temperature: T > 0.
        weight: Factor of the term. The defaults 2 and 2.5 are those of Zhou et al. 2021 for ImageNet, beside a
            cross-entropy of 1.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(self, *, temperature: float = 2.0, weight: float = 2.5) -> None:
        super().__init__(weight=weight)
        check_temperature(temperature)
        self.temperature = temperature

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        target_N = student.hard_targets()
        return wsld_loss(student.logits, teacher.logits, target_N, self.temperature)
