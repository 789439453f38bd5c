"""Probabilistic knowledge transfer: which images a drawn image would be taken for.

Legend: N samples, D elements of a vector.
"""

import torch
from torch import Tensor

from mmamd.distillation.losses.relation import RelationLoss, check_batch
from mmamd.distillation.vectors import gram, rescaled, unit
from mmamd.registry import MODELS

SMALLEST = 1e-7  # added to probabilities under the logarithm, as the authors' release does


def pkt_loss(student_ND: Tensor, teacher_ND: Tensor, with_itself: bool = True) -> Tensor:
    """``mean_ij P_ij log(P_ij / Q_ij)`` over all N^2 pairs of images, P the teacher's and Q the student's.

    The probability of image j given image i is ``(cos_ij + 1) / 2``, divided by its sum over j. Blind to the length of
    each vector and to a rotation of a network's vectors. One image alone has no relations: 0.

    Args:
        student_ND: One vector an image, (N, D).
        teacher_ND: Likewise; its D may be another.
        with_itself: Whether an image may be taken for itself. The paper leaves j = i out, of the sums too. The
            authors' release, CRD's benchmark and the weights that are in use do not.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the vectors.

    Raises:
        ValueError: These are no vectors of one number of images.

    Source: Passalis and Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
    section 3 with its cosine kernel; as a mean over pairs instead of a sum, and with :data:`SMALLEST`, as released.
    """
    check_batch(student_ND, teacher_ND)
    student_NN, teacher_NN = (_probabilities(x_ND, with_itself) for x_ND in (student_ND, teacher_ND))
    return (teacher_NN * ((teacher_NN + SMALLEST) / (student_NN + SMALLEST)).log()).mean()


def _probabilities(x_ND: Tensor, with_itself: bool) -> Tensor:
    """Each row's sum is 1, or 0 where there is no other image."""
    # Rounding may leave a cosine just beyond -1.
    kernel_NN = ((gram(unit(rescaled(x_ND))) + 1) / 2).clamp(min=0)
    if not with_itself:
        kernel_NN = kernel_NN * (1 - torch.eye(len(x_ND), dtype=kernel_NN.dtype, device=kernel_NN.device))
    total_N1 = kernel_NN.sum(dim=1, keepdim=True)
    return kernel_NN / total_N1.masked_fill(total_N1 == 0, 1)


@MODELS.register_module()
class PKTLoss(RelationLoss):
    """:func:`pkt_loss` of the mean over the positions of one layer of each network.

    Args:
        layer: See :class:`RelationLoss`.
        with_itself: See :func:`pkt_loss`.
        weight: Factor of the term; 30000 is CRD's benchmark for convolutional pairs.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'last', with_itself: bool = True,
                 weight: float = 30000.0) -> None:
        super().__init__(layer=layer, weight=weight)
        self.with_itself = with_itself

    def relate(self, student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
        return pkt_loss(student_ND, teacher_ND, self.with_itself)
