"""MGD: from a part of its last state the student must generate all of the teacher's.

Shapes: N samples, L tokens, C channels, H x W positions.
"""

from torch import Tensor, nn

from mmamd.distillation.connectors import Linear, connectable
from mmamd.distillation.generation import Generator, MaskSeed, check_share
from mmamd.distillation.layers import check_layer, layer_pair
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def mgd_loss(generated_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Sum of the squared differences, mean over the samples, at least float32.

    Source: Yang et al., "Masked Generative Distillation", ECCV 2022; the mean over the samples is their code's.
    """
    difference = at_least_float32(generated_NCHW) - at_least_float32(teacher_NCHW)
    return difference.square().sum() / len(difference)


@MODELS.register_module()
class MGDLoss(Loss):
    """:func:`mgd_loss` of a trained :class:`Generator`, which sees the student's state with a part of it set to 0.

    A trained linear map leads from the student's channels to the teacher's, also where there are as many. Tokens
    become maps, without the class token. The masks are those of :class:`MaskSeed`.

    Args:
        layer: ``'last'`` for the last hidden state of networks of one architecture; or a pair of names of modules, the
            student's and the teacher's.
        share: Probability that an element of the mask is 0, in (0, 1).
        along: What a mask hides of a sample: ``'channels'``, the authors' choice for classification, or
            ``'positions'``, their choice for dense predictions.
        weight: Factor of the term; 7e-5 with ``share=0.15`` is the authors' for ResNet-34 to ResNet-18 on ImageNet.

    Raises:
        ValueError: An option is none of these.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'last', share: float = 0.15, along: str = 'channels',
                 weight: float = 7e-5) -> None:
        super().__init__(weight=weight)
        check_share(share)
        if along not in ('channels', 'positions'):
            raise ValueError(f"along must be 'channels' or 'positions', got {along!r}; it is what a mask hides")
        self.layer = check_layer(layer)
        self.share = share
        self.along = along
        self.connectors = nn.ModuleList()
        self.generators = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return layer_pair(self.layer, student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.masks = MaskSeed()
        for (names,), teacher in zip(self.pairs, teachers, strict=True):
            own, width = connectable(names, student.maps(names[0]), teacher.maps(names[1]))
            self.connectors.append(Linear(own, width))
            self.generators.append(Generator(width))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        state, target = self.connectors[index](student.maps(own), teacher.maps(others))
        n, c, h, w = state.shape
        shape = (n, c, 1, 1) if self.along == 'channels' else (n, 1, h, w)
        kept = self.masks.rand(*shape, progress=student.progress, index=index) >= self.share
        return mgd_loss(self.generators[index](state * kept.to(state.device)), target)
