"""Relational knowledge distillation: distances between two images, and angles among three.

Legend: N samples, D elements of a vector.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.loss import check_weight
from mmamd.distillation.losses.relation import RelationLoss, check_batch
from mmamd.distillation.vectors import gram, rescaled, unit
from mmamd.registry import MODELS


def rkd_loss(student_ND: Tensor, teacher_ND: Tensor, distance: float = 25.0, angle: float = 50.0) -> Tensor:
    """``distance * l(psi_D) + angle * l(psi_A)``, l the mean over pairs or triples of the Huber loss (its bend at 1).

    psi_D of images i and j is the distance of their vectors divided by the mean distance of two images of the batch;
    psi_A of i, j and k is the cosine of the angle at j. Blind to scale, shift and rotation of a network's vectors.
    One image alone has no relations, two have a distance of 1 in both networks: 0.

    The means are over all N^2 pairs and N^3 triples, also those with an image twice, which add 0: the paper's sums in
    the scale of the authors' release. That leaves pairs of distance 0 out of the mean distance; the paper, and this
    function, count them. The vectors are not normalised first.

    Args:
        student_ND: One vector an image, (N, D). Angles take memory for N^2 D and N^3 numbers.
        teacher_ND: Likewise; its D may be another.
        distance, angle: Weights of the two parts, >= 0; one of weight 0 is not computed.

    Returns:
        Scalar, at least float32 whatever the precision of the vectors.

    Raises:
        ValueError: A weight is negative or not finite, both are 0, or these are no vectors of one number of images.

    Source: Park et al., "Relational Knowledge Distillation", CVPR 2019, Eq. 4 to 9.
    """
    check_parts(distance, angle)
    check_batch(student_ND, teacher_ND)
    student_ND, teacher_ND = rescaled(student_ND), rescaled(teacher_ND)
    return sum(weight * F.smooth_l1_loss(potential(student_ND), potential(teacher_ND))
               for weight, potential in ((distance, distances), (angle, angles)) if weight)


def distances(x_ND: Tensor) -> Tensor:
    """psi_D, (N, N): distances of all pairs, divided by their mean over pairs of two images."""
    # Not by products of the vectors, whose difference is all rounding where two images are close.
    distance_NN = torch.cdist(x_ND, x_ND, compute_mode='donot_use_mm_for_euclid_dist')
    num_pairs = len(x_ND) * (len(x_ND) - 1)
    mean = distance_NN.sum() / max(num_pairs, 1)
    return distance_NN / mean.masked_fill(mean == 0, 1)


def angles(x_ND: Tensor) -> Tensor:
    """psi_A, (N, N, N): at [j, i, k] the cosine of the angle at image j between i and k; 0 where one is at j."""
    return gram(unit(x_ND[None] - x_ND[:, None]))


def check_parts(distance: float, angle: float) -> None:
    """Raises ValueError unless both weights are finite and >= 0, and one of them is positive."""
    for name, weight in (('distance', distance), ('angle', angle)):
        check_weight(name, weight, 'RKD weighs the distances of two images and the angles of three')
    if not distance and not angle:
        raise ValueError('distance and angle are both 0, so nothing is compared; make one positive, or leave RKD out '
                         'by weight=0')


@MODELS.register_module()
class RKDLoss(RelationLoss):
    """:func:`rkd_loss` of the mean over the positions of one layer of each network.

    Args:
        layer: See :class:`RelationLoss`.
        distance, angle: Weights of the two parts, >= 0; 25 and 50 are CRD's benchmark for convolutional pairs.
        weight: Factor of the term.

    Raises:
        ValueError: A weight is negative or not finite, or both are 0.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'last', distance: float = 25.0, angle: float = 50.0,
                 weight: float = 1.0) -> None:
        super().__init__(layer=layer, weight=weight)
        check_parts(distance, angle)
        self.distance = distance
        self.angle = angle

    def relate(self, student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
        return rkd_loss(student_ND, teacher_ND, self.distance, self.angle)
