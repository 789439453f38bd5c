"""Hidden states as maps, where a formula asks where something is.

Legend: N samples, L tokens, C channels, (H, W) positions.
"""

from collections.abc import Callable
from math import isqrt

from torch import Tensor

# Before the image's own: none, a class token, DeiT's distillation token beside it, or DINOv2's four registers.
EXTRA_TOKENS = (0, 1, 2, 5)


def as_maps(state: Tensor) -> Tensor:
    """Maps (N, C, H, W) of tokens (N, L, C) that lie in a square, row by row; maps are returned as they are.

    The tokens before the image's own, a class token, a distillation token, registers, have no position and are dropped.
    How many there are follows from L: it is a square, or one, two or five more; 9 tokens are 3 x 3.

    Raises:
        ValueError: The state is neither, or its tokens lie in no square.
    """
    if state.ndim == 4:
        return state
    side = isqrt(state.shape[1]) if state.ndim == 3 else 0
    if side and state.shape[1] - side**2 in EXTRA_TOKENS:
        return state[:, -side**2:].mT.unflatten(2, (side, side))
    raise ValueError(f'a state of shape {tuple(state.shape)} cannot be made maps; expected maps (N, C, H, W), or the '
                     f'tokens (N, L, C) of a square image after {", ".join(map(str, EXTRA_TOKENS[:-1]))} or '
                     f'{EXTRA_TOKENS[-1]} others: name a module with such an output, a stage or a block')


def check_positions(names: tuple[str, str], student: Tensor, teacher: Tensor) -> None:
    """Raises ValueError, with the modules, unless two states are maps of the same positions (H, W).

    Args:
        names: The student's module and the teacher's.
        student, teacher: Their outputs, tokens or maps.
    """
    own, others = (tuple(maps.shape[2:]) for maps in in_form(as_maps, names, student, teacher))
    if own != others:
        raise ValueError(f'cannot compare {names[0]!r} of the student, whose maps are {own}, with {names[1]!r} of the '
                         f'teacher, whose maps are {others}, position by position; name modules whose maps are equally '
                         'large')


def in_form(form: Callable[[Tensor], Tensor], names: tuple[str, str], student: Tensor,
            teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two states in the form that a function gives them; where it refuses one, the ValueError names the module."""
    formed = []
    for whose, name, state in zip(('student', 'teacher'), names, (student, teacher), strict=True):
        try:
            formed.append(form(state))
        except ValueError as error:
            raise ValueError(f'{name!r} of the {whose}: {error}') from error
    return tuple(formed)
