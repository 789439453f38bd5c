"""FT: the student's translator follows factors that a paraphraser, trained before, draws from the teacher's state.

Shapes: N samples, C channels, H x W positions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.connectors import connectable
from mmamd.distillation.layers import check_layer, layer_pair
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

SLOPE = 0.1  # of the leaky ReLUs below 0
# Length below which a factor counts as this long, so that the gradient of one that is 0 stays within half precision.
SHORTEST = 1e-4


def ft_loss(student_NCHW: Tensor, teacher_NCHW: Tensor, power: int | None = 2) -> Tensor:
    """Mean absolute difference of two factors, each scaled to length 1 a sample.

    Args:
        student_NCHW, teacher_NCHW: Factors of one shape.
        power: p of the mean over the channels of ``f^p``, which stands for the factor; None compares all channels.

    Returns:
        Scalar, at least float32.

    Source: Kim et al., "Paraphrasing Complex Network: Network Compression via Factor Transfer", NeurIPS 2018, as
    a mean over elements. The paper compares all channels; the mean of powers, with p = 2, is of CRD's benchmark.
    """
    factors = [at_least_float32(factor) for factor in (student_NCHW, teacher_NCHW)]
    if power is not None:
        factors = [factor.pow(power).mean(dim=1) for factor in factors]
    student, teacher = (F.normalize(factor.flatten(1), eps=SHORTEST) for factor in factors)
    return (student - teacher).abs().mean()


def reconstruction_loss(restored_NCHW: Tensor, state_NCHW: Tensor) -> Tensor:
    """Mean over all elements of the squared difference, at least float32. Source: as :func:`ft_loss`."""
    return (at_least_float32(restored_NCHW) - at_least_float32(state_NCHW)).square().mean()


class Convolutions(nn.Sequential):
    """Three 3 x 3 convolutions, each with a leaky ReLU: the halves of a paraphraser, and with norms a translator."""

    def __init__(self, *widths: int, norm: bool = False) -> None:
        super().__init__(*(layer for own, width in zip(widths, widths[1:], strict=False)
                           for layer in (nn.Conv2d(own, width, 3, padding=1),
                                         *([nn.BatchNorm2d(width)] if norm else []), nn.LeakyReLU(SLOPE))))


class Factors(nn.Module):
    """A paraphraser, which restores the teacher's state from its factor, and the student's translator.

    As in CRD's benchmark the translator alone has batch norms; but the way back ends without a leaky ReLU.
    """

    def __init__(self, own: int, width: int, num_factors: int) -> None:
        super().__init__()
        self.paraphraser = Convolutions(width, width, num_factors, num_factors)
        self.restorer = Convolutions(num_factors, num_factors, width, width)
        self.restorer[-1] = nn.Identity()  # a state may be negative
        self.translator = Convolutions(own, own, num_factors, num_factors, norm=True)


@MODELS.register_module()
class FTLoss(Loss):
    """:func:`ft_loss` of the student's translator and the teacher's paraphraser.

    The paraphraser is trained first, by the same term in the section ``pretrain``, and then left as it is::

        model = dict(losses=dict(ft=dict(type='mmamd.FTLoss')))
        pretrain = dict(trains='losses', train_cfg=dict(max_epochs=30),
                        losses=dict(ft=dict(learns='paraphraser', weight=1.)))

    Without it, the term is refused. Tokens become maps, without the class token.

    Args:
        layer: ``'last'`` for the last hidden state of networks of one architecture; or a pair of names of modules, the
            student's and the teacher's.
        learns: ``'translator'``, or ``'paraphraser'`` for :func:`reconstruction_loss`, in the section ``pretrain``.
        rate: Channels of a factor, as a share of the teacher's.
        power: See :func:`ft_loss`.
        weight: Factor of the term; 200 is CRD's benchmark for convolutional pairs.

    Raises:
        ValueError: An option is none of these.
    """

    joint = False

    def __init__(self, *, layer: str | tuple[str, str] = 'last', learns: str = 'translator', rate: float = 0.5,
                 power: int | None = 2, weight: float = 200.0) -> None:
        super().__init__(weight=weight)
        if learns not in ('translator', 'paraphraser'):
            raise ValueError(f"learns must be 'translator' or 'paraphraser', got {learns!r}")
        if isinstance(rate, bool) or not 0 < rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], got {rate!r}; it is a factor's share of the teacher's channels")
        if power is not None and power < 1:
            raise ValueError(f'power must be a positive integer or None, got {power!r}; 2 is the usual one')
        self.layer = check_layer(layer)
        self.pretrains = learns == 'paraphraser'
        self.prepared = not self.pretrains
        self.rate = rate
        self.power = power
        self.factors = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return layer_pair(self.layer, student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for (names,), teacher in zip(self.pairs, teachers, strict=True):
            own, width = connectable(names, student.maps(names[0]), teacher.maps(names[1]))
            self.factors.append(Factors(own, width, max(1, round(self.rate * width))))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        parts, state = self.factors[index], teacher.maps(others)
        if self.pretrains:
            return reconstruction_loss(parts.restorer(parts.paraphraser(state)), state)
        with torch.no_grad():
            factor = parts.paraphraser(state)
        return ft_loss(parts.translator(student.maps(own)), factor, self.power)
