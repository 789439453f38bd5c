"""Similarity preserving: images that are alike to the teacher shall be alike to the student.

Legend: N samples, D elements of a vector.
"""

from torch import Tensor

from mmamd.distillation.losses.relation import RelationLoss, check_batch
from mmamd.distillation.vectors import flattened, gram, rescaled, unit
from mmamd.registry import MODELS


def sp_loss(student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
    """``||G_t - G_s||_F^2 / N^2``, where G has the products of all pairs of vectors, each row scaled to length 1.

    Blind to the scale of a network's vectors and to their rotation. One image alone has no relations: 0.

    Args:
        student_ND: One vector an image, all elements of a layer, (N, D).
        teacher_ND: Likewise; its D may be another.

    Returns:
        Scalar, at least float32 whatever the precision of the vectors.

    Raises:
        ValueError: These are no vectors of one number of images.

    Source: Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, Eq. 2 to 4.
    """
    check_batch(student_ND, teacher_ND)
    student_NN, teacher_NN = (unit(gram(rescaled(x_ND))) for x_ND in (student_ND, teacher_ND))
    return (teacher_NN - student_NN).square().mean()


@MODELS.register_module()
class SPLoss(RelationLoss):
    """:func:`sp_loss` of all elements of one layer; the layers of student and teacher may differ in shape.

    Args:
        layer: See :class:`RelationLoss`.
        weight: Factor of the term; 3000 is the paper's, and CRD's benchmark's for convolutional pairs.
    """

    form = staticmethod(flattened)

    def __init__(self, *, layer: str | tuple[str, str] = 'last', weight: float = 3000.0) -> None:
        super().__init__(layer=layer, weight=weight)

    def relate(self, student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
        return sp_loss(student_ND, teacher_ND)
