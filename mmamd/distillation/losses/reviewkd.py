"""ReviewKD: the student's shallow states learn from the teacher's together with its own deeper ones.

Shapes: N samples, C channels, H x W positions, M channels within the fusion.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.connectors import connectable
from mmamd.distillation.generation import MaskSeed
from mmamd.distillation.genome import Genome
from mmamd.distillation.losses.feature import Layers, LayersLoss
from mmamd.distillation.losses.genome import check_batch, genome_loss
from mmamd.distillation.losses.loss import at_least_float32
from mmamd.distillation.maps import as_levels, in_form
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.warmup import check_warmup, grown
from mmamd.registry import MODELS

POOLS = (4, 2, 1)  # sides to which maps are pooled, beside the full ones
MOST_CHANNELS = 512  # within the fusion, as in the authors' code


def hcl_loss(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Hierarchical context loss: mean squared differences of the full maps and of their averages over 4 x 4, 2 x 2 and
    1 x 1 fields, weighted 1, 1/2, 1/4 and 1/8 and divided by the sum of the weights.

    Pools that are no smaller than the maps are left out, so maps of 4 x 4 have weights 1, 1/2 (2 x 2) and 1/4 (1 x 1).

    Args:
        student_NCHW, teacher_NCHW: Maps of one shape.

    Returns:
        Scalar, at least float32.

    Source: Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021, section 3.4; weights of their code.
    """
    student_NCHW, teacher_NCHW = at_least_float32(student_NCHW), at_least_float32(teacher_NCHW)
    sides = [side for side in POOLS if side < student_NCHW.shape[2]]
    weights = [0.5**i for i in range(len(sides) + 1)]
    values = [F.mse_loss(student_NCHW, teacher_NCHW), *(
        F.mse_loss(*(F.adaptive_avg_pool2d(maps, side) for maps in (student_NCHW, teacher_NCHW))) for side in sides)]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


class Fusion(nn.Module):
    """Attention based fusion of a state with what comes from deeper ones.

    Both are weighted, position by position, by two maps of a 1 x 1 convolution over both, and added.

    Args:
        own, inner, width: Channels of the student's state, within, and of the teacher's state.
        is_deepest: Nothing comes from below it.
    """

    def __init__(self, own: int, inner: int, width: int, is_deepest: bool) -> None:
        super().__init__()
        self.enter = nn.Conv2d(own, inner, 1, bias=False)
        self.enter_norm = nn.BatchNorm2d(inner)
        self.attention = None if is_deepest else nn.Conv2d(2 * inner, 2, 1)
        self.leave = nn.Conv2d(inner, width, 3, padding=1, bias=False)
        self.leave_norm = nn.BatchNorm2d(width)
        for layer in (self.enter, self.leave):
            nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, state_NCHW: Tensor, deeper_NMHW: Tensor | None) -> tuple[Tensor, Tensor]:
        """What meets the teacher's state, and what the next shallower fusion is given, (N, M, H, W)."""
        # A narrower candidate's state is the leading channels.
        fused = self.enter_norm(F.conv2d(state_NCHW, self.enter.weight[:, :state_NCHW.shape[1]]))
        if self.attention is not None:
            deeper = F.interpolate(deeper_NMHW, fused.shape[2:], mode='nearest')
            shares_N2HW = self.attention(torch.cat([fused, deeper], dim=1)).sigmoid()
            fused = fused * shares_N2HW[:, :1] + deeper * shares_N2HW[:, 1:]
        return self.leave_norm(self.leave(fused)), fused


@MODELS.register_module()
class ReviewKDLoss(LayersLoss):
    """Sum over layers of :func:`hcl_loss`, the student's states being fused from the deepest to the shallowest.

    A distiller of KD-Zero may take the place of that distance (its Table 2). Tokens become maps, without the class
    token, and pooled vectors maps of one position. A fusion has about ``9 M C`` parameters, M at most 512.

    Args:
        layers: As of :class:`mmamd.distillation.FeatureLoss`, from shallow to deep: ``'auto'``, numbers of hidden
            states, or pairs of names of modules.
        genome: Text of a :class:`mmamd.distillation.genome.Genome` of ``in:[feature]`` and ``cal:[no]`` that compares
            the maps; None for :func:`hcl_loss`.
        warmup: Share of the stage over which the term grows linearly from 0; 0 for none. 20 of 240 epochs, 1/12, are
            the authors' on CIFAR-100.
        weight: Factor of the term; 1 is the authors' for ImageNet, for CIFAR-100 they have 0.6 to 8 by pair.

    Raises:
        ValueError: ``layers`` or ``genome`` is none of these, or ``warmup`` no share.
    """

    def __init__(self, *, layers: Layers = 'auto', genome: str | None = None, warmup: float = 0.0,
                 weight: float = 1.0) -> None:
        super().__init__(layers=layers, weight=weight)
        check_warmup(warmup)
        self.genome = None if genome is None else _of_maps(genome)
        self.warmup = warmup
        self.fusions = nn.ModuleList()

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            widths = [connectable(names, *in_form(as_levels, names, student, teacher)) for names in pairs]
            inner = min(MOST_CHANNELS, widths[-1][0])
            self.fusions.append(nn.ModuleList(Fusion(own, inner, width, i == len(widths) - 1)
                                              for i, (own, width) in enumerate(widths)))
        if self.genome is not None:
            self.masks = MaskSeed()

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        if self.genome is not None:
            check_batch(self, self.genome, student)
        deeper, losses = None, []
        for i, names in reversed(list(enumerate(self.pairs[index]))):
            own, others = in_form(as_levels, names, student, teacher)
            met, deeper = self.fusions[index][i](own, deeper)
            losses.append(self._distance(met, others, student, teacher, len(self.pairs[0]) * index + i))
        return sum(losses) * grown(student.progress, self.warmup)

    def _distance(self, met: Tensor, others: Tensor, student: Outputs, teacher: Outputs, place: int) -> Tensor:
        """Of fused maps and the teacher's, the ``place``-th of all."""
        if self.genome is None:
            return hcl_loss(met, others)
        rand = self.masks.for_transforms(student.progress, place)
        return genome_loss(self.genome, met, others, student.logits, teacher.logits, rand=rand)


def _of_maps(text: str) -> Genome:
    genome = Genome.parse(text)
    if genome.input != 'feature' or genome.calibration != 'no':
        raise ValueError(f'genome must be one of in:[feature] and cal:[no], which compares maps alone, got {text!r}')
    return genome.canonical()
