"""Decoupled knowledge distillation: the target class and the other classes are weighed apart.

Legend: N samples, C classes, T temperature.
"""

import torch
from torch import Tensor

from mmamd.distillation.losses.logit import check_temperature, kl_divergence
from mmamd.distillation.losses.loss import Loss, at_least_float32, check_weight
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.warmup import check_warmup, grown
from mmamd.registry import MODELS


def dkd_loss(student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor, zeta: float, eta: float,
             temperature: float) -> Tensor:
    """``zeta * TCKD + eta * NCKD``, mean over samples.

    TCKD = T^2 KL(teacher || student) over the two events *target* and *not target*; NCKD = T^2 KL(teacher || student)
    over the other C - 1 classes alone. With p_t the teacher's softened probability of the target,
    ``KD = TCKD + (1 - p_t) * NCKD``, sample by sample.

    Both terms are computed from log-probabilities and stay finite for logits of any finite size: the two-event
    logits are the target's and the logsumexp of the others', where a sum of probabilities would underflow to log(0).

    Args:
        student_NC: Logits, shape (N, C), C >= 2.
        teacher_NC: Logits of the same shape.
        target_N: Class index of each sample, int64, shape (N,).
        zeta: Weight of TCKD, >= 0.
        eta: Weight of NCKD, >= 0.
        temperature: T > 0.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: A weight is negative, the temperature is not positive, or the shapes do not agree.

    Source: Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, section 3, each term with the T^2 of
    :func:`~mmamd.distillation.losses.logit.logit_loss`; AMD, supplement 5.1 (L_dkd).
    """
    check_decoupling(zeta, eta)
    check_temperature(temperature)
    check_logits_and_target('DKD', student_NC, teacher_NC, target_N)
    student_N2, student_others = decoupled(at_least_float32(student_NC) / temperature, target_N)
    teacher_N2, teacher_others = decoupled(at_least_float32(teacher_NC) / temperature, target_N)
    tckd = kl_divergence(student_N2, teacher_N2)
    nckd = kl_divergence(student_others, teacher_others)
    return temperature**2 * (zeta * tckd + eta * nckd)


def decoupled(logits_NC: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the events (target, not target), shape (N, 2), and of the other classes, shape (N, C - 1)."""
    target_N1 = target_N.unsqueeze(1)
    # The other classes' indices by arithmetic, not by a boolean mask: a mask would make a GPU wait for its count.
    others = torch.arange(logits_NC.shape[1] - 1, device=logits_NC.device)
    others = others + (others >= target_N1)
    target_logit_N1, other_logits = logits_NC.gather(1, target_N1), logits_NC.gather(1, others)
    return torch.cat([target_logit_N1, other_logits.logsumexp(dim=1, keepdim=True)], dim=1), other_logits


def check_logits_and_target(term: str, student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor) -> None:
    """Raises ValueError, with the term's name, unless there is one row of logits of each network a target."""
    if (student_NC.ndim != 2 or student_NC.shape != teacher_NC.shape or student_NC.shape[1] < 2
            or target_N.shape != student_NC.shape[:1]):
        raise ValueError(f'{term} needs logits of one shape (N, C) with C >= 2 and a target of shape (N,); got student '
                         f'{tuple(student_NC.shape)}, teacher {tuple(teacher_NC.shape)}, target '
                         f'{tuple(target_N.shape)}')


def check_decoupling(zeta: float, eta: float) -> None:
    """Raises ValueError unless both weights are finite and >= 0."""
    for name, weight in (('zeta', zeta), ('eta', eta)):
        check_weight(name, weight, 'DKD weighs the target class by zeta and the other classes by eta')


@MODELS.register_module()
class DKDLoss(Loss):
    """:func:`dkd_loss` with fixed weights; the target is the task's one class a sample.

    Under mixup or cutmix the target of a sample is the class of its larger share: the argmax of ``gt_score``.

    Args:
        zeta: Weight of TCKD, >= 0.
        eta: Weight of NCKD, >= 0.
        temperature: T > 0. The defaults 1, 8, 4 are those of Zhao et al. 2022 for CIFAR-100.
        warmup: Share of the stage over which the term grows linearly from 0; 0 for none. They have 20 of 240 epochs
            on CIFAR-100, 1/12, and one of 100 on ImageNet.
        weight: Factor of the term.

    Raises:
        ValueError: A weight is negative, the temperature is not positive, or ``warmup`` is no share.
    """

    def __init__(self, *, zeta: float = 1.0, eta: float = 8.0, temperature: float = 4.0, warmup: float = 0.0,
                 weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        check_warmup(warmup)
        check_decoupling(zeta, eta)
        check_temperature(temperature)
        self.zeta = zeta
        self.eta = eta
        self.temperature = temperature
        self.warmup = warmup

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        target_N = student.hard_targets()
        loss = dkd_loss(student.logits, teacher.logits, target_N, self.zeta, self.eta, self.temperature)
        return grown(student.progress, self.warmup) * loss
