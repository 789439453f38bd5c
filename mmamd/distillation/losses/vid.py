"""VID: the student's states shall tell as much as they can of the teacher's, under a Gaussian whose variance is learnt.

Shapes: N samples, L tokens, C channels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.connectors import Linear, connectable
from mmamd.distillation.losses.feature import Layers, LayersLoss
from mmamd.distillation.losses.loss import at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

START = 5.0  # variance before training, as in the authors' code
LEAST = 1e-5  # variance, as in the authors' code


def vid_loss(mean: Tensor, variance_C: Tensor, teacher: Tensor) -> Tensor:
    """Mean over all elements of ``1/2 ((t - mu)^2 / sigma^2 + log sigma^2)``, a bound of what the student lacks.

    It is not 0 where mean and teacher agree: it is then smaller, the smaller the variance.

    Args:
        mean: What the student expects of the teacher's state, (N, L, C) tokens or (N, C, H, W) maps.
        variance_C: Variance of each channel, > 0.
        teacher: The teacher's state, of the shape of ``mean``.

    Returns:
        Scalar, at least float32 whatever the precision of the states.

    Source: Ahn et al., "Variational Information Distillation for Knowledge Transfer", CVPR 2019, the Gaussian's
    negative log-likelihood without its constant; as a mean over elements, as in their code, where the paper has a sum.
    """
    mean, variance, teacher = map(at_least_float32, (mean, variance_C, teacher))
    if teacher.ndim == 4:
        variance = variance[:, None, None]
    return ((teacher - mean).square() / variance + variance.log()).mean() / 2


class Gaussian(nn.Module):
    """A network from the student's state to the mean of the teacher's, and a variance a channel of the teacher's.

    Three maps of the channels with ReLUs between them, 1 x 1 convolutions on maps; class tokens are compared too. The
    variance is ``softplus(a) + 1e-5``, the same for all inputs and positions. Of a narrower student the first map uses
    the leading channels.

    Args:
        own, width: Channels of the student's state and of the teacher's.
    """

    def __init__(self, own: int, width: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(Linear(channels, width) for channels in (own, width, width))
        self.spread = nn.Parameter(torch.full((width,), math.log(math.expm1(START - LEAST))))

    def forward(self, student: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, of the shape of the teacher's state, and variance (C,)."""
        first, *others = self.maps
        mean, _ = first(student, None)
        for layer in others:
            mean, _ = layer(mean.relu(), None)
        return mean, F.softplus(self.spread) + LEAST


@MODELS.register_module()
class VIDLoss(LayersLoss):
    """Sum over layers of :func:`vid_loss` under a trained :class:`Gaussian` each, as in the paper and CRD's benchmark.

    The variance is a parameter, as the paper has it; in a known reimplementation it is none and keeps its first value,
    so that layers which cannot be predicted count as much as the others.

    Args:
        layers: As of :class:`mmamd.distillation.FeatureLoss`: ``'auto'``, numbers of hidden states, or pairs of names
            of modules.
        weight: Factor of the term; 1 is CRD's benchmark for convolutional pairs.
    """

    def __init__(self, *, layers: Layers = 'auto', weight: float = 1.0) -> None:
        super().__init__(layers=layers, weight=weight)
        self.gaussians = nn.ModuleList()

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            self.gaussians.append(nn.ModuleList(
                Gaussian(*connectable(names, student.states[names[0]], teacher.states[names[1]])) for names in pairs))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        return sum(vid_loss(*gaussian(student.states[own]), teacher.states[others])
                   for gaussian, (own, others) in zip(self.gaussians[index], self.pairs[index], strict=True))
