"""The logit loss: a student imitates the teacher's softened class probabilities.

Legend: N samples, C classes, ``...`` positions of a dense prediction (H, W), T temperature.
"""

import math

from torch import Tensor

from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS
from mmamd.tasks import task_of

# Standard deviation below which a sample's logits count as equal. A trained network's is far larger; the gradient of an
# untrained one, which grows by the inverse, stays within half precision.
FLATTEST = 1e-3


def logit_loss(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0,
               counted_N: Tensor | None = None) -> Tensor:
    """``T^2 * KL(softmax(teacher / T) || softmax(student / T))``, mean over all but the classes.

    The factor T^2 keeps the size of the gradient independent of T. At T = 1 the gradient is that of the cross-entropy
    with the teacher's probabilities; the two differ by the teacher's entropy, a constant.

    Args:
        student_NC: Logits, shape (N, C) or (N, C, ...); classes are dim 1.
        teacher_NC: Logits of the same shape.
        temperature: T > 0.
        counted_N: Which samples, or which of their positions, shape (N, ...), the mean is over; None for all. 0 where
            there is none.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: The shapes differ, or ``temperature`` is not a positive finite number.

    Source: Hinton et al. 2015, section 2; AMD, supplement 5.1 (L_logit).
    """
    check_temperature(temperature)
    return temperature**2 * mean_of_counted(kl_divergences(student_NC, teacher_NC, temperature), counted_N)


def mean_of_counted(values_N: Tensor, counted_N: Tensor | None) -> Tensor:
    """Mean of the values that count, all of them where ``counted_N`` is None, 0 where none does."""
    if counted_N is None:
        return values_N.mean()
    return (values_N * counted_N).sum() / counted_N.sum().clamp(min=1)


def kl_divergence(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """``KL(softmax(teacher / T) || softmax(student / T))`` over dim 1, mean over all other dims; no T^2.

    Raises:
        ValueError: The shapes differ.
    """
    return kl_divergences(student_NC, teacher_NC, temperature).mean()


def kl_divergences(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """The terms of the mean that :func:`kl_divergence` is, (N) or (N, ...). Raises as it does."""
    if student_NC.shape != teacher_NC.shape:
        raise ValueError(f'student and teacher logits must have one shape, got {tuple(student_NC.shape)} and '
                         f'{tuple(teacher_NC.shape)}; give both networks the same num_classes and input size')
    student_log_NC = (at_least_float32(student_NC) / temperature).log_softmax(dim=1)
    teacher_log_NC = (at_least_float32(teacher_NC) / temperature).log_softmax(dim=1)
    return (teacher_log_NC.exp() * (teacher_log_NC - student_log_NC)).sum(dim=1)


def standardized(logits_NC: Tensor) -> Tensor:
    """``(z - mean(z)) / std(z)`` over dim 1, the classes: blind to shift and scale of a sample's logits.

    Its divergence asks for the teacher's order and relative distances of the classes, not for the size of its logits,
    which a smaller network need not reach. The standard deviation is that of the C values themselves, 1/C under the
    root, and at least :data:`FLATTEST`: equal logits become 0.

    Args:
        logits_NC: Logits, shape (N, C) or (N, C, ...).

    Returns:
        Of the same shape, at least float32.

    Source: Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, Algorithms 1 and 2: the loss is
    T^2 times the divergence of standardized logits over T. Their code has 1/(C - 1) under the root.
    """
    logits_NC = at_least_float32(logits_NC)
    centered_NC = logits_NC - logits_NC.mean(dim=1, keepdim=True)
    # Bounded under the root, whose slope at 0 is infinite.
    return centered_NC / centered_NC.square().mean(dim=1, keepdim=True).clamp(min=FLATTEST**2).sqrt()


def check_temperature(temperature: float, name: str = 'temperature') -> None:
    """Raises ValueError unless the temperature is a positive finite number."""
    if not 0 < temperature < math.inf:
        raise ValueError(f'{name} must be a positive finite number, got {temperature}; 1.0 leaves the logits as '
                         'they are, a larger one softens both distributions')


@MODELS.register_module()
class LogitLoss(Loss):
    """:func:`logit_loss` with a fixed temperature, of the logits or of standardized ones.

    Of a dense prediction the mean is over the positions that have a label, at the resolution of the head: ignored
    pixels take no part.

    Args:
        temperature: T > 0. 1.0 is the setting of AMD's ancestor MiniDisc; AMD prints none.
        standardize: Whether both networks' logits are :func:`standardized` first. Sun et al. then take T = 2 and
            weight 9 beside a task loss of weight 1, on CIFAR-100.
        weight: Factor of the term; AMD's alpha.

    Raises:
        ValueError: ``temperature`` is not a positive finite number.
    """

    def __init__(self, *, temperature: float = 1.0, standardize: bool = False, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        check_temperature(temperature)
        self.temperature = temperature
        self.standardize = standardize

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        logits = student.logits, teacher.logits
        if self.standardize:
            logits = tuple(map(standardized, logits))
        return logit_loss(*logits, self.temperature, labelled(student))


def labelled(student: Outputs) -> Tensor | None:
    """Which positions of dense logits have a label; None where there are no positions."""
    if student.logits.ndim != 4:
        return None
    labelled_NHW = task_of(student.network).labelled(student.samples, student.logits.shape[2:])
    return None if labelled_NHW is None else labelled_NHW.to(student.logits.device)
