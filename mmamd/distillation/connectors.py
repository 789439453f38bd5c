"""Connectors between the hidden states of two architectures.

A student of another architecture has hidden states of its own width. A linear map from each to the teacher's makes
them comparable (FitNets, Romero et al. 2015). It is trained with the student and stays behind when that is exported.
"""

from collections.abc import Sequence
from difflib import get_close_matches

import torch.nn as nn
from torch import Tensor


def check_connect(connect: Sequence[tuple[str, str]] | None, student: nn.Module,
                  teacher: nn.Module) -> list[tuple[str, str]]:
    """The pairs as they are, if both networks have the modules that they name; raises ValueError otherwise."""
    if not connect:
        raise ValueError("a student of another architecture needs model.connect=[('<its module>', '<the teacher's>'), "
                         '...] for the feature loss; name modules whose outputs are to be compared, e.g. '
                         "('backbone.stages.0', 'backbone.stages.0'), or set losses.feat=0")
    for names in connect:
        for name, network, whose in zip(names, (student, teacher), ('student', 'teacher'), strict=True):
            modules = dict(network.named_modules())
            if name not in modules:
                near = get_close_matches(name, modules, n=3)
                raise ValueError(f'model.connect names {name!r}, which the {whose} does not have; expected the name of '
                                 f'one of its modules{f", such as {near}" if near else ""}')
    return [tuple(names) for names in connect]


def make_connectors(names: Sequence[tuple[str, str]], student_states: Sequence[Tensor],
                    teacher_states: Sequence[Tensor]) -> nn.ModuleList:
    """A 1 x 1 convolution for each pair of maps (N, C, H, W), a linear layer for each pair of tokens (N, L, C).

    Args:
        names: For each pair, the student's module and the teacher's.
        student_states, teacher_states: Their outputs for one image.

    Raises:
        ValueError: If two states differ in more than their channels; it names the modules.
    """
    return nn.ModuleList(_connector(name, student, teacher) for name, student, teacher in
                         zip(names, student_states, teacher_states, strict=True))


def _connector(names: tuple[str, str], student: Tensor, teacher: Tensor) -> nn.Module:
    if student.ndim == teacher.ndim == 4 and student.shape[2:] == teacher.shape[2:]:
        return nn.Conv2d(student.shape[1], teacher.shape[1], kernel_size=1)
    if student.ndim == teacher.ndim == 3 and student.shape[1] == teacher.shape[1]:
        return nn.Linear(student.shape[2], teacher.shape[2])
    raise ValueError(f'model.connect joins {names[0]!r} of the student, whose output is {tuple(student.shape[1:])}, '
                     f'and {names[1]!r} of the teacher, whose output is {tuple(teacher.shape[1:])}; expected maps '
                     '(channels, height, width) or tokens (number, channels) that differ in their channels alone: name '
                     'modules whose outputs are equally large')
