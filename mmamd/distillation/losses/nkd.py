"""Normalised knowledge distillation: the target's probability, and the other classes' shares of the rest.

Legend: N samples, C classes, T temperature.
"""

from torch import Tensor

from mmamd.distillation.losses.dkd import check_logits_and_target, decoupled
from mmamd.distillation.losses.logit import check_temperature
from mmamd.distillation.losses.loss import Loss, at_least_float32, check_weight
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def nkd_loss(student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor, gamma: float = 1.5,
             temperature: float = 1.0) -> Tensor:
    """``-p_t log(s_t) - gamma T^2 sum_c p'_c log(s'_c)``, mean over samples.

    p_t and s_t are the teacher's and the student's probability of the target, not softened; p' and s' their softened
    probabilities of the other C - 1 classes, normalised among these. Both parts are cross-entropies: the first is 0 for
    a student that is sure of the target, the second least, the teacher's entropy, where s' equals p'.

    Args:
        student_NC: Logits, shape (N, C), C >= 2.
        teacher_NC: Logits of the same shape.
        target_N: Class index of each sample, int64, shape (N,).
        gamma: Weight of the other classes, >= 0.
        temperature: T > 0, of the other classes.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: ``gamma`` is negative, the temperature is not positive, or the shapes do not agree.

    Source: Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach with Normalized
    Loss and Customized Soft Labels", ICCV 2023, L_NKD without the task's own cross-entropy, which is a term of its own.
    """
    check_gamma(gamma)
    check_temperature(temperature)
    check_logits_and_target('NKD', student_NC, teacher_NC, target_N)
    (student_log_N, student_others), (teacher_log_N, teacher_others) = (
        _parts(logits, target_N, temperature) for logits in (student_NC, teacher_NC))
    target = -teacher_log_N.exp() * student_log_N
    others = -(teacher_others.exp() * student_others).sum(dim=1)
    return (target + gamma * temperature**2 * others).mean()


def _parts(logits_NC: Tensor, target_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the target, shape (N,), and of the others among themselves, softened, (N, C - 1)."""
    target_or_not_N2, others = decoupled(at_least_float32(logits_NC), target_N)
    return target_or_not_N2.log_softmax(dim=1)[:, 0], (others / temperature).log_softmax(dim=1)


def check_gamma(gamma: float) -> None:
    """Raises ValueError unless the weight of the other classes is finite and >= 0."""
    check_weight('gamma', gamma, 'NKD weighs the classes other than the target by it')


@MODELS.register_module()
class NKDLoss(Loss):
    """:func:`nkd_loss` with fixed weights; the target is the task's one class a sample.

    Under mixup or cutmix the target of a sample is the class of its larger share: the argmax of ``gt_score``.

    Args:
        gamma: Weight of the other classes, >= 0.
        temperature: T > 0. The defaults 1.5 and 1 are those of Yang et al. 2023 for ImageNet; beside ViTKD they take
            gamma 1.
        weight: Factor of the term.

    Raises:
        ValueError: ``gamma`` is negative or the temperature is not positive.
    """

    def __init__(self, *, gamma: float = 1.5, temperature: float = 1.0, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        check_gamma(gamma)
        check_temperature(temperature)
        self.gamma = gamma
        self.temperature = temperature

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        target_N = student.hard_targets()
        return nkd_loss(student.logits, teacher.logits, target_N, self.gamma, self.temperature)
