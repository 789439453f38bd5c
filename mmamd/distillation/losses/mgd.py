"""MGD: from a part of its last state the student must generate all of the teacher's.

Shapes: N samples, L tokens, C channels, H x W positions.
"""

import math

import torch
from mmengine.dist import get_rank
from torch import Tensor, nn

from mmamd.distillation.connectors import Linear, are_pairs, check_pairs, connectable, same_architecture, state_names
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS
from mmamd.seeds import derive_seed

MOST_EXTRA = 2  # tokens of no position: those of the class and of DeiT's distillation


def mgd_loss(generated_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Sum of the squared differences, mean over the samples, at least float32.

    Source: Yang et al., "Masked Generative Distillation", ECCV 2022; the mean over the samples is their code's.
    """
    difference = at_least_float32(generated_NCHW) - at_least_float32(teacher_NCHW)
    return difference.square().sum() / len(difference)


def as_maps(state: Tensor) -> Tensor:
    """Tokens (N, L, C) as maps (N, C, H, W) of a square, without the one or two class tokens before it; maps as is."""
    if state.ndim == 4:
        return state
    side = math.isqrt(state.shape[1]) if state.ndim == 3 else 0
    if not side or state.shape[1] - side**2 > MOST_EXTRA:
        raise ValueError(f'cannot lay a state of shape {tuple(state.shape)} out as a map; expected maps (N, C, H, W), '
                         f'or tokens (N, L, C) of a square of patches, at most {MOST_EXTRA} class tokens before it')
    return state[:, -side**2:].transpose(1, 2).unflatten(2, (side, side))


class Generator(nn.Sequential):
    """Two 3 x 3 convolutions of C channels with a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(channels, channels, 3, padding=1))


class MaskSeed:
    """Where the masks of a term come from: they follow from its seed, the step, the process and the teacher.

    So a run that is resumed draws what an uninterrupted one does, all candidates of a step are asked for the same, and
    nothing else that draws is disturbed. Made in :meth:`Loss.build`, whose draws are the term's own.
    """

    def __init__(self) -> None:
        self.seed = int(torch.randint(2**31, ()))

    def rand(self, *shape: int, progress: float, index: int) -> Tensor:
        """Uniform numbers in [0, 1), on the CPU."""
        seed = derive_seed(self.seed, str(progress), get_rank(), index)
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def check_share(share: float) -> None:
    """Raises ValueError unless the share that is masked lies between 0 and 1."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(f'share must lie in (0, 1), got {share!r}; it is the part that is masked')


def check_layer(layer: str | tuple[str, str]) -> None:
    """Raises ValueError unless the layer is ``'last'`` or a pair."""
    if layer != 'last' and (isinstance(layer, str) or not are_pairs(layer) or len(layer) != 2):
        raise ValueError(f"layer must be 'last' or a pair of names of modules, the student's and the teacher's; got "
                         f'{layer!r}')


def pair_of(layer: str | tuple[str, str], student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    """The pair of modules of a layer that :func:`check_layer` allows."""
    if layer != 'last':
        return check_pairs([layer], student, teacher)
    if not same_architecture(student, teacher):
        raise ValueError("a student of another architecture needs layer=('<its module>', '<the teacher's>'), two "
                         'modules whose outputs are equally large')
    return [(state_names(student)[-1], state_names(teacher)[-1])]


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
        check_layer(layer)
        check_share(share)
        if along not in ('channels', 'positions'):
            raise ValueError(f"along must be 'channels' or 'positions', got {along!r}; it is what a mask hides")
        self.layer = layer
        self.share = share
        self.along = along
        self.connectors = nn.ModuleList()
        self.generators = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return pair_of(self.layer, student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.masks = MaskSeed()
        for (names,), teacher in zip(self.pairs, teachers, strict=True):
            own, width = connectable(names, as_maps(student.states[names[0]]), as_maps(teacher.states[names[1]]))
            self.connectors.append(Linear(own, width))
            self.generators.append(Generator(width))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        state, target = self.connectors[index](as_maps(student.states[own]), as_maps(teacher.states[others]))
        n, c, h, w = state.shape
        shape = (n, c, 1, 1) if self.along == 'channels' else (n, 1, h, w)
        kept = self.masks.rand(*shape, progress=student.progress, index=index) >= self.share
        return mgd_loss(self.generators[index](state * kept.to(state.device)), target)
