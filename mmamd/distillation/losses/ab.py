"""AB: before it is distilled, the student learns which of the teacher's neurons are active.

Shapes: N samples, L tokens, C channels.
"""

import math

import torch
from torch import Tensor, nn

from mmamd.distillation.connectors import Connectors
from mmamd.distillation.losses.feature import Layers, LayersLoss
from mmamd.distillation.losses.loss import at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def ab_loss(student: Tensor, teacher: Tensor, margin: float = 1.0) -> Tensor:
    """Squared distance of activations to the teacher's side of 0, beyond a margin: sum, mean over the samples.

    ``(s + m)^2`` where the teacher's is at most 0 and s above -m, ``(s - m)^2`` where it is positive and s below m.

    Args:
        student, teacher: States of one shape.
        margin: m > 0.

    Returns:
        Scalar, at least float32.

    Source: Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons", AAAI
    2019.
    """
    student = at_least_float32(student)
    beyond = torch.where(teacher > 0, margin - student, student + margin).relu()
    return beyond.square().sum() / len(student)


@MODELS.register_module()
class ABLoss(LayersLoss):
    """Sum over layers of ``2^(i - n + 1)`` times :func:`ab_loss`, i of n counted from 0: the last layer has weight 1.

    A term of the section ``pretrain``, in which the student is trained by it, and refused elsewhere: the paper trains
    activation boundaries first, 30 of 240 epochs in CRD's benchmark, and then the student by its other losses. States
    of one shape are compared as they are, as there, those of other widths through a trained linear map, which stays
    behind with what it has learnt.

    Args:
        layers: As of :class:`mmamd.distillation.FeatureLoss`, from shallow to deep: ``'auto'``, numbers of hidden
            states, or pairs of names of modules, best in front of an activation.
        margin: m > 0.
        weight: Factor of the term; 3/1000 is CRD's benchmark.

    Raises:
        ValueError: ``layers`` is none of these, or the margin not positive.
    """

    joint = False
    pretrains = True

    def __init__(self, *, layers: Layers = 'auto', margin: float = 1.0, weight: float = 3e-3) -> None:
        super().__init__(layers=layers, weight=weight)
        if not 0 < margin < math.inf:
            raise ValueError(f'margin must be a positive finite number, got {margin!r}; 1.0 is usual')
        self.margin = margin
        self.connectors = nn.ModuleList()

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.connectors.extend(Connectors(pairs, student, teacher, as_they_are=True)
                               for pairs, teacher in zip(self.pairs, teachers, strict=True))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        states = list(zip(*self.connectors[index](student, teacher), strict=True))
        return sum(2.**(i - len(states) + 1) * ab_loss(own, other, self.margin)
                   for i, (own, other) in enumerate(states))
