"""The one layer of each network that a term compares, as a config names it."""

import torch.nn as nn

from mmamd.distillation.connectors import check_pairs, same_architecture, state_names


def check_layer(layer: str | tuple[str, str], words: tuple[str, ...] = ('last',)) -> str | tuple[str, str]:
    """The layer as it is, if it is one of the words or a pair of names; raises ValueError otherwise."""
    is_pair = isinstance(layer, (list, tuple)) and len(layer) == 2 and all(isinstance(name, str) for name in layer)
    if layer not in words and not is_pair:
        known = f'{", ".join(map(repr, words))} or ' if words else ''
        raise ValueError(f"layer must be {known}a pair of names of modules, the student's and the teacher's; got "
                         f'{layer!r}')
    return layer


def layer_pair(layer: str | tuple[str, str], student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    """What a term of one layer watches: the last hidden states of one architecture, or the modules of a pair.

    Raises:
        ValueError: A network has no module of the name, or ``'last'`` is asked of two architectures.
    """
    if layer != 'last':
        return check_pairs([layer], student, teacher)
    if not same_architecture(student, teacher):
        raise ValueError("a student of another architecture needs layer=('<its module>', '<the teacher's>'), e.g. "
                         "('backbone.stages.2', 'backbone.layer4')")
    return [(state_names(student)[-1], state_names(teacher)[-1])]
