"""What terms have in common that compare how the images of a batch relate to each other, in one layer.

Legend: N samples, D elements of a vector.
"""

from collections.abc import Callable

import torch.nn as nn
from torch import Tensor

from mmamd.distillation.layers import check_layer, layer_pair
from mmamd.distillation.losses.loss import Loss
from mmamd.distillation.maps import in_form
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import pooled


class RelationLoss(Loss):
    """A term that asks for one vector an image and for no equal shapes, so that it needs no connector.

    The images are those of one process. A class token takes no part; to compare it alone, name a module that puts out
    vectors (N, D).

    Args:
        layer: ``'last'``, the last of the hidden states, for networks of one architecture; or a pair of names of
            modules, the student's and the teacher's.
        weight: Factor of the term.

    Raises:
        ValueError: ``layer`` is neither.

    Attributes:
        form: What makes vectors of a state, given the images that it is of.
    """

    form: Callable[[Tensor, Tensor], Tensor] = staticmethod(pooled)

    def __init__(self, *, layer: str | tuple[str, str] = 'last', weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.layer = check_layer(layer)

    def relate(self, student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
        """The term of the vectors of both networks."""
        raise NotImplementedError

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return layer_pair(self.layer, student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for ((own, others),), teacher in zip(self.pairs, teachers, strict=True):
            in_form(self.form, (own, others), student, teacher)

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        return self.relate(self.form(student.states[own], student.inputs),
                           self.form(teacher.states[others], teacher.inputs))


def check_batch(student_ND: Tensor, teacher_ND: Tensor) -> None:
    """Raises ValueError unless both are vectors of one number of images."""
    if student_ND.ndim != 2 or teacher_ND.ndim != 2 or len(student_ND) != len(teacher_ND):
        raise ValueError('relations between images need a vector of each image of both networks, (N, D) with one N; '
                         f'got {tuple(student_ND.shape)} of the student and {tuple(teacher_ND.shape)} of the teacher')
