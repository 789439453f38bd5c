"""What leads from a student's maps to a teacher's: a linear map, convolutions, or cross attention.

Shapes: N samples, L tokens, C and D channels of the teacher and the student, H x W positions.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.losses.scalekd.cross_attention import CrossAttentionProjector
from mmamd.distillation.maps import as_maps

HEAD_WIDTH = 64  # channels of a head at least, where their number is not given
KERNELS = {'linear': 1, 'conv': 3}  # of the projectors that have no attention


class Form(NamedTuple):
    """What a state of a teacher looks like: maps, or tokens of which some have no position.

    Attributes:
        width: C.
        size: H and W of its positions.
        extra: Tokens before those of positions, a class token for one.
        is_maps: Whether the state is maps (N, C, H, W), not tokens (N, L, C).
    """

    width: int
    size: tuple[int, int]
    extra: int
    is_maps: bool

    @classmethod
    def of(cls, state: Tensor, images: Tensor) -> 'Form':
        """The form of a state of some images. Raises ValueError as :func:`mmamd.distillation.maps.as_maps`."""
        _, width, *size = as_maps(state, images).shape
        extra = 0 if state.ndim == 4 else state.shape[1] - size[0] * size[1]
        return cls(width, tuple(size), extra, state.ndim == 4)

    @property
    def num_tokens(self) -> int:
        return self.extra + self.size[0] * self.size[1]

    def shape(self, tokens_NLC: Tensor) -> Tensor:
        """Tokens (N, L, C) as a state of this form."""
        return tokens_NLC.mT.unflatten(2, self.size) if self.is_maps else tokens_NLC


class PositionwiseProjector(nn.Module):
    """A linear map of the channels (``kernel=1``), or two 3 x 3 convolutions with a ReLU between them (``kernel=3``).

    The projectors that ScaleKD compares its own with, Table 9b. Maps that are larger than the teacher's are averaged to
    its size first; the paper, which has such a pair, does not say what it did.

    Args:
        own, width: D and C.
        size: H and W of the teacher's maps.
        kernel: 1 or 3.
    """

    def __init__(self, own: int, width: int, size: tuple[int, int], kernel: int) -> None:
        super().__init__()
        self.size = size
        self.enter = nn.Conv2d(own, width, kernel, padding=kernel // 2)
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)) if kernel > 1 else nn.Identity()

    def forward(self, maps_NDHW: Tensor) -> Tensor:
        """Maps (N, C, H, W); a narrower candidate's maps are the leading channels."""
        if maps_NDHW.shape[2:] != self.size:
            maps_NDHW = F.adaptive_avg_pool2d(maps_NDHW, self.size)
        weight = self.enter.weight[:, :maps_NDHW.shape[1]]
        return self.leave(F.conv2d(maps_NDHW, weight, self.enter.bias, padding=self.enter.padding))


def positionwise_projector(names: tuple[str, str], student_maps: Tensor, teacher_maps: Tensor,
                           projector: str) -> PositionwiseProjector:
    """The projector without attention of two states.

    Args:
        names: Of the modules that they come from, for the message.
        student_maps: Of the student, (N, D, H, W).
        teacher_maps: Of the teacher, (N, C, H, W).
        projector: ``'linear'`` or ``'conv'``.

    Raises:
        ValueError: If the student's maps are the smaller ones.
    """
    (own, *size), (width, *wanted) = student_maps.shape[1:], teacher_maps.shape[1:]
    if size[0] < wanted[0] or size[1] < wanted[1]:
        raise ValueError(f'cannot compare {names[0]!r} of the student, whose maps are {tuple(size)}, with '
                         f'{names[1]!r} of the teacher, whose maps are {tuple(wanted)}: projector={projector!r} '
                         "averages larger maps and makes none larger; set projector='cap'")
    return PositionwiseProjector(own, width, tuple(wanted), KERNELS[projector])


def cross_attention_projector(student_maps: Tensor, form: Form, heads: int | None, softmax_scale: float, windows: int,
                              has_queries: bool = True) -> CrossAttentionProjector:
    """The cross attention projector of two states.

    Args:
        student_maps: Of the student, (N, D, H, W).
        form: Of the teacher's state.
        heads: None for as many as divide the width and have 64 channels or more.
        softmax_scale, windows: See :class:`mmamd.distillation.losses.scalekd.cross_attention.CrossAttention`.
        has_queries: Whether the queries are its own.

    Raises:
        ValueError: If heads or windows do not fit; it says which.
    """
    own = tuple(student_maps.shape[1:])
    if windows > 1:
        sizes = own[1:], form.size
        if any(height != width or height % windows for height, width in sizes) or form.extra:
            raise ValueError(f"windows={windows} parts of each side need square maps that it divides, without a class "
                             f"token; got the student's of {sizes[0]} and the teacher's of {sizes[1]}"
                             f'{f" with {form.extra} more tokens" if form.extra else ""}; use windows of 1, which have '
                             'every query see all of the map')
    if heads is None:
        heads = next(num for num in range(max(1, form.width // HEAD_WIDTH), 0, -1) if form.width % num == 0)
    return CrossAttentionProjector(own, form.width, form.num_tokens if has_queries else None, heads=heads,
                                   softmax_scale=softmax_scale, windows=windows)
