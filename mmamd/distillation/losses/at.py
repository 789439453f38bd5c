"""Attention transfer: the student looks where the teacher looks.

Legend: N samples, C channels, (H, W) positions.
"""

import math

from torch import Tensor

from mmamd.distillation.losses.feature import Layers, LayersLoss
from mmamd.distillation.maps import check_positions
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import rescaled, unit
from mmamd.registry import MODELS


def at_loss(student_NCHW: Tensor, teacher_NCHW: Tensor, p: float = 2.0) -> Tensor:
    """Mean over samples and positions of the squared difference of two attention maps.

    An attention map is the mean over channels of ``|f|^p``, an image's scaled to length 1. Blind to the scale of an
    image's maps and to the order of the channels, of which the networks may have different numbers.

    Args:
        student_NCHW: Maps of one layer.
        teacher_NCHW: Maps of the same samples and positions.
        p: At least 1; the larger, the more the largest channels count.

    Returns:
        Scalar, at least float32 whatever the precision of the maps.

    Raises:
        ValueError: ``p`` is less than 1 or not finite, or samples or positions differ.

    Source: Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, Eq. 2 and section 3.1. The paper
    prints half the length of the difference; the mean of squares is its authors' release, in whose scale weights are.
    """
    check_power(p)
    if (student_NCHW.ndim != 4 or teacher_NCHW.ndim != 4 or len(student_NCHW) != len(teacher_NCHW)
            or student_NCHW.shape[2:] != teacher_NCHW.shape[2:]):
        raise ValueError('attention transfer needs maps (N, C, H, W) that differ in C alone, got '
                         f'{tuple(student_NCHW.shape)} of the student and {tuple(teacher_NCHW.shape)} of the teacher; '
                         'make maps of tokens by mmamd.distillation.maps.as_maps, and name layers of one resolution')
    return (attention(student_NCHW, p) - attention(teacher_NCHW, p)).square().mean()


def attention(x_NCHW: Tensor, p: float) -> Tensor:
    """Attention maps, (N, H W), each of length 1."""
    return unit(rescaled(x_NCHW).abs().pow(p).mean(dim=1).flatten(1))


def check_power(p: float) -> None:
    """Raises ValueError unless p is a finite number of at least 1."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 1 <= p < math.inf:
        raise ValueError(f'p must be a finite number >= 1, got {p!r}; it is the power of the activations, commonly 2')


@MODELS.register_module()
class ATLoss(LayersLoss):
    """Sum over layers of :func:`at_loss`; of tokens the class token takes no part, as it has no position.

    Args:
        layers: As of :class:`~mmamd.distillation.losses.feature.FeatureLoss`: ``'auto'`` or numbers of hidden states
            for networks of one architecture, pairs of names of modules for any two. CRD's benchmark has the end of
            every stage of a convolutional network.
        p: See :func:`at_loss`.
        weight: Factor of the term; 1000 is CRD's benchmark for convolutional pairs.

    Raises:
        ValueError: ``layers`` is something else, or ``p`` is less than 1.
    """

    def __init__(self, *, layers: Layers = 'auto', p: float = 2.0, weight: float = 1000.0) -> None:
        super().__init__(layers=layers, weight=weight)
        check_power(p)
        self.p = p

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            for own, others in pairs:
                check_positions((own, others), student, teacher)

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        return sum(at_loss(student.maps(own), teacher.maps(others), self.p)
                   for own, others in self.pairs[index])
