"""DIST: the student keeps the teacher's relations of probabilities, and not their values.

Legend: N samples, C classes, ``...`` positions of a dense prediction.
"""

import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.logit import check_temperature
from mmamd.distillation.losses.loss import Loss, at_least_float32, check_weight
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def dist_loss(student_NC: Tensor, teacher_NC: Tensor, beta: float = 1.0, gamma: float = 1.0,
              temperature: float = 1.0) -> Tensor:
    """``T^2 (beta (1 - mean_i r_i) + gamma (1 - mean_j r_j))`` with Pearson correlations r of softened probabilities.

    r_i is that of the classes of sample i (inter-class relation), r_j that of the samples of class j in the batch
    (intra-class relation). Where there is no variation, as in a batch of one, r is 0.

    Args:
        student_NC: Logits, (N, C) or (N, C, ...): each position of a dense prediction is a sample.
        teacher_NC: Logits of the same shape.
        beta, gamma: Weights of the two relations, >= 0.
        temperature: T > 0.

    Returns:
        Scalar, at least float32 whatever the precision of the logits.

    Raises:
        ValueError: The shapes differ.

    Source: Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, Eq. 8 to 10.
    """
    if student_NC.shape != teacher_NC.shape:
        raise ValueError(f'student and teacher logits must have one shape, got {tuple(student_NC.shape)} and '
                         f'{tuple(teacher_NC.shape)}; give both networks the same num_classes and input size')
    student, teacher = (_rows((at_least_float32(logits) / temperature).softmax(dim=1))
                        for logits in (student_NC, teacher_NC))
    inter, intra = correlation(student, teacher).mean(), correlation(student.T, teacher.T).mean()
    return temperature**2 * (beta * (1 - inter) + gamma * (1 - intra))


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation of each row of two matrices; 0 where a row does not vary."""
    return F.cosine_similarity(a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True), dim=1)


def _rows(probabilities: Tensor) -> Tensor:
    """One row a sample or position, (..., C)."""
    return probabilities.movedim(1, -1).flatten(0, -2)


@MODELS.register_module()
class DISTLoss(Loss):
    """:func:`dist_loss` with fixed weights.

    Args:
        beta, gamma: Weights of the inter-class and of the intra-class relation, >= 0.
        temperature: T > 0. 1 is the paper's for ImageNet; for CIFAR-100 it has 4.
        weight: Factor of the term; the paper has 2 beside a cross-entropy of 1.

    Raises:
        ValueError: A weight is negative or not finite, or the temperature is not positive.
    """

    def __init__(self, *, beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0, weight: float = 2.0) -> None:
        super().__init__(weight=weight)
        for name, value in (('beta', beta), ('gamma', gamma)):
            check_weight(name, value, 'beta weighs the relation of classes, gamma that of samples')
        check_temperature(temperature)
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        return dist_loss(student.logits, teacher.logits, self.beta, self.gamma, self.temperature)
