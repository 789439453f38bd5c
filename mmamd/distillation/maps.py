"""Hidden states as maps, where a formula asks where something is.

Legend: N samples, L tokens, C channels, (H, W) positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from mmamd.distillation.outputs import Outputs

# Before the image's own: none, a class token, DeiT's distillation token beside it, or DINOv2's four registers.
EXTRA_TOKENS = (0, 1, 2, 5)


def as_maps(state: Tensor, images: Tensor) -> Tensor:
    """Maps (N, C, H, W) of tokens (N, L, C) that lie row by row in the image; maps are returned as they are.

    The tokens before the image's own, a class token, a distillation token, registers, have no position and are dropped.
    How many there are, and how many rows the others lie in, follows from L and the sides of the image: see
    :func:`grid_of`.

    Args:
        state: What a module has made of some images.
        images: Those images, (N, channels, height, width).

    Raises:
        ValueError: The state is neither, or its tokens do not cover such images.
    """
    if state.ndim == 4:
        return state
    grid = grid_of(state.shape[1], tuple(images.shape[2:])) if state.ndim == 3 else None
    if grid is None:
        of = '' if state.ndim != 3 else f' of images of {images.shape[2]} x {images.shape[3]} pixels'
        raise ValueError(f'a state of shape {tuple(state.shape)} cannot be made maps{of}; expected maps (N, C, H, W), '
                         f'or tokens (N, L, C) that cover the image, after {", ".join(map(str, EXTRA_TOKENS[:-1]))} or '
                         f'{EXTRA_TOKENS[-1]} others: name a module with such an output, a stage or a block')
    return state[:, -math.prod(grid):].mT.unflatten(2, grid)


def as_levels(state: Tensor, images: Tensor) -> Tensor:
    """As :func:`as_maps`, and vectors (N, C), which is what pooling leaves, as maps of one position (N, C, 1, 1)."""
    return state[:, :, None, None] if state.ndim == 2 else as_maps(state, images)


@lru_cache(maxsize=1 << 10)
def grid_of(num_tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of the tokens of an image, whose patches are squares; None where there is no such grid.

    A side that patches do not fill is cut or padded, the same way in both directions. Of several grids that so many
    tokens may be, the one whose sides are most nearly in the ratio of the image's; then that of fewest other tokens.

    Args:
        num_tokens: Of an image, with the others of :data:`EXTRA_TOKENS`.
        size: Height and width of the image, in pixels.
    """
    height, width = size
    grids = [(rows, number // rows) for number in (num_tokens - extra for extra in EXTRA_TOKENS)
             for rows in range(1, number + 1) if number % rows == 0]
    fitting = [(rows, columns) for rows, columns in grids if _is_cut(rows, columns, height, width)
               or _is_padded(rows, columns, height, width)]
    return min(fitting, key=lambda grid: abs(math.log(grid[0] * width / (grid[1] * height))), default=None)


def _is_cut(rows: int, columns: int, height: int, width: int) -> bool:
    """Whether there is a side of patches of which so many fit into the image, and no more."""
    return max(height / (rows + 1), width / (columns + 1)) < min(height / rows, width / columns)


def _is_padded(rows: int, columns: int, height: int, width: int) -> bool:
    """Whether there is a side of patches of which so many cover the image, and no fewer."""
    most = min(side / (number - 1) if number > 1 else math.inf for side, number in ((height, rows), (width, columns)))
    return max(height / rows, width / columns) < most


def check_positions(names: tuple[str, str], student: Outputs, teacher: Outputs) -> None:
    """Raises ValueError, with the modules, unless two states are maps of the same positions (H, W).

    Args:
        names: The student's module and the teacher's.
        student, teacher: What has left their outputs, tokens or maps.
    """
    own, others = (tuple(maps.shape[2:]) for maps in in_form(as_maps, names, student, teacher))
    if own != others:
        raise ValueError(f'cannot compare {names[0]!r} of the student, whose maps are {own}, with {names[1]!r} of the '
                         f'teacher, whose maps are {others}, position by position; name modules whose maps are equally '
                         'large')


def in_form(form: Callable[[Tensor, Tensor], Tensor], names: tuple[str, str], student: Outputs,
            teacher: Outputs) -> tuple[Tensor, Tensor]:
    """Two states in the form that a function gives them; where it refuses one, the ValueError names the module.

    Args:
        form: From a state and the images that it is of.
        names: The student's module and the teacher's.
        student, teacher: What has left their outputs.
    """
    formed = []
    for whose, name, outputs in zip(('student', 'teacher'), names, (student, teacher), strict=True):
        try:
            formed.append(form(outputs.states[name], outputs.inputs))
        except ValueError as error:
            raise ValueError(f'{name!r} of the {whose}: {error}') from error
    return tuple(formed)
