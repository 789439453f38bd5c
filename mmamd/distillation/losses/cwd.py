"""Channel-wise distillation: where in the image each channel is active, for dense predictions.

Legend: N samples, C channels, (H, W) positions, T temperature.
"""

import torch.nn as nn
from torch import Tensor

from mmamd.distillation.connectors import Connectors
from mmamd.distillation.layers import check_layer, layer_pair
from mmamd.distillation.losses.logit import check_temperature, kl_divergence
from mmamd.distillation.losses.loss import Loss
from mmamd.distillation.maps import as_maps, check_positions
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def cwd_loss(student_NCHW: Tensor, teacher_NCHW: Tensor, temperature: float = 4.0) -> Tensor:
    """``T^2 KL(softmax(teacher / T) || softmax(student / T))`` over the positions of a channel, mean over N and C.

    Blind to a constant that is added to a channel.

    Args:
        student_NCHW: Maps: logits of a dense prediction, or hidden states.
        teacher_NCHW: Maps of the same shape.
        temperature: T > 0; the higher, the more positions count.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the maps.

    Raises:
        ValueError: The shapes differ or are none of maps, or ``temperature`` is not a positive finite number.

    Source: Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, Eq. 3 and 4.
    """
    check_temperature(temperature)
    if student_NCHW.ndim != 4 or student_NCHW.shape != teacher_NCHW.shape:
        raise ValueError('channel-wise distillation needs maps of one shape (N, C, H, W), got '
                         f'{tuple(student_NCHW.shape)} of the student and {tuple(teacher_NCHW.shape)} of the teacher; '
                         'make maps of tokens by mmamd.distillation.maps.as_maps, and channels equal by a connector')
    student_rows, teacher_rows = (maps.flatten(2).flatten(0, 1) for maps in (student_NCHW, teacher_NCHW))
    return temperature**2 * kl_divergence(student_rows, teacher_rows, temperature)


@MODELS.register_module()
class CWDLoss(Loss):
    """:func:`cwd_loss` of one layer or of dense logits; of tokens the class token takes no part.

    Maps of two architectures meet through :class:`~mmamd.distillation.connectors.Connectors`.

    Args:
        layer: ``'last'``, the last of the hidden states, for networks of one architecture; a pair of names of
            modules, the student's and the teacher's; or ``'logits'``, those of a dense prediction.
        temperature: T > 0; the paper has 4.
        weight: Factor of the term; the paper has 50 for hidden states and 3 for logits.

    Raises:
        ValueError: ``layer`` is none of these, or the temperature is not positive.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'last', temperature: float = 4.0,
                 weight: float = 50.0) -> None:
        super().__init__(weight=weight)
        check_temperature(temperature)
        self.layer = check_layer(layer, ('last', 'logits'))
        self.temperature = temperature
        self.connectors = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return [] if self.layer == 'logits' else layer_pair(self.layer, student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            if self.layer == 'logits' and (student.logits.ndim != 4 or student.logits.shape != teacher.logits.shape):
                raise ValueError('expected dense logits of one shape (N, classes, H, W), got '
                                 f'{tuple(student.logits.shape)} of the student and {tuple(teacher.logits.shape)} of '
                                 "the teacher; compare hidden states: layer='last' or a pair of names of modules")
            for own, others in pairs:
                check_positions((own, others), student, teacher)
            self.connectors.append(Connectors(pairs, student, teacher))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        if self.layer == 'logits':
            return cwd_loss(student.logits, teacher.logits, self.temperature)
        (own,), (others,) = self.connectors[index](student, teacher)
        return cwd_loss(as_maps(own, student.inputs), as_maps(others, teacher.inputs), self.temperature)
