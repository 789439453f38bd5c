"""Connectors between the hidden states of two architectures.

A student of another architecture has hidden states of its own width. A linear map from each to the teacher's makes
them comparable (FitNets, Romero et al. 2015). It is trained with the student and stays behind when that is exported.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.passes import frozen_eval


def check_connect(connect: Sequence[tuple[str, str]] | None, student: nn.Module,
                  teacher: nn.Module) -> list[tuple[str, str]]:
    """The pairs as they are, if both networks have the modules that they name; raises ValueError otherwise."""
    if not connect:
        raise ValueError("a student of another architecture needs model.connect=[('<its module>', '<the teacher's>'), "
                         '...] for the feature loss; name modules whose outputs are to be compared, e.g. '
                         "('backbone.stages.0', 'backbone.stages.0'), or set losses.feat=0")
    for names in connect:
        if isinstance(names, str) or len(names) != 2:
            raise ValueError("model.connect must be a list of pairs, each the name of a module of the student and one "
                             f"of the teacher, e.g. [('backbone.stages.0', 'backbone.stages.0')]; got {names!r} as one")
        for name, network, whose in zip(names, (student, teacher), ('student', 'teacher'), strict=True):
            modules = dict(network.named_modules())
            if name not in modules:
                near = get_close_matches(name, modules, n=3)
                raise ValueError(f'model.connect names {name!r}, which the {whose} does not have; expected the name of '
                                 f'one of its modules{f", such as {near}" if near else ""}')
    return [tuple(names) for names in connect]


@torch.no_grad()
def outputs_of(network: nn.Module, names: Sequence[str], image_1CHW: Tensor) -> list[Tensor]:
    """Outputs of some modules for one image, in eval mode.

    Raises:
        ValueError: If a module is not run, or its output is not one tensor; it names the module.
    """
    seen: dict[str, Any] = {}
    hooks = [network.get_submodule(name).register_forward_hook(
        lambda _module, _args, out, name=name: seen.__setitem__(name, out)) for name in names]
    try:
        with frozen_eval(network):
            network(image_1CHW, mode='tensor')
    finally:
        for hook in hooks:
            hook.remove()
    for name in names:
        if not isinstance(seen.get(name), Tensor):
            what = f'gives a {type(seen[name]).__name__}' if name in seen else 'is not run itself'
            raise ValueError(f'model.connect names {name!r}, which {what}; expected a module whose output is one '
                             'tensor: name a stage or a block within it')
    return [seen[name] for name in names]


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
