"""What makes the states of two networks comparable.

Candidate and teacher are one reordered architecture: their states are compared as they are, of maps the leading
channels. A student of another architecture has states of its own width, and channels that mean something else even at
equal width: a linear map from each to the teacher's, trained with the student, makes them comparable (FitNets, Romero
et al. 2015). It stays behind when the student is exported.

Shapes: N samples, L tokens, C channels.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.distillation.outputs import Outputs
from mmamd.passes import module_of


class Connectors(nn.ModuleList):
    """One connector for each pair of modules of a student and of one teacher.

    Args:
        pairs: The student's module and the teacher's, by name.
        student, teacher: Outputs of one pass of each network, the student's as its largest candidate.
        as_they_are: Whether states of one shape are compared so, of two architectures too.

    Raises:
        ValueError: If two states differ in more than their channels; it names the modules.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], student: Outputs, teacher: Outputs,
                 as_they_are: bool = False) -> None:
        is_same = same_architecture(student.network, teacher.network)
        states = [(student.states[own], teacher.states[others]) for own, others in pairs]
        super().__init__(aligned(names, *both, is_same or as_they_are and both[0].shape == both[1].shape)
                         for names, both in zip(pairs, states, strict=True))
        self.pairs = list(pairs)

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[list[Tensor], list[Tensor]]:
        """The states of both networks, in the order of the pairs, of equal shapes."""
        states = [connect(student.states[own], teacher.states[others])
                  for connect, (own, others) in zip(self, self.pairs, strict=True)]
        return [own for own, _ in states], [others for _, others in states]


class Leading(nn.Module):
    """States of one reordered architecture: those of a narrower map are the teacher's first channels."""

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        return student, teacher[:, :student.shape[1]] if teacher.ndim == 4 else teacher


class Linear(nn.Linear):
    """A linear map of the channels of tokens (N, L, C) or of maps (N, C, H, W), of which there may be fewer."""

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        if student.ndim == 3:
            return F.linear(student, self.weight[:, :student.shape[2]], self.bias), teacher
        weight = self.weight[:, :student.shape[1], None, None]
        return F.conv2d(student, weight, self.bias), teacher


def aligned(names: tuple[str, str], student: Tensor, teacher: Tensor, is_same: bool) -> nn.Module:
    """The connector of two states: of one architecture the channels themselves, else a linear map of them.

    Args:
        names: The student's module and the teacher's.
        student, teacher: Their outputs.
        is_same: Whether the networks are one reordered architecture.

    Raises:
        ValueError: If they differ in more than their channels; it names the modules.
    """
    if is_same and (student.shape == teacher.shape or student.ndim == teacher.ndim == 4
                    and student.shape[2:] == teacher.shape[2:] and student.shape[1] <= teacher.shape[1]):
        return Leading()
    return Linear(*connectable(names, student, teacher))


def connectable(names: tuple[str, str], student: Tensor, teacher: Tensor) -> tuple[int, int]:
    """Channels of two states that a linear map may join. Raises ValueError, with the modules, for others."""
    if student.ndim == teacher.ndim == 4 and student.shape[2:] == teacher.shape[2:]:
        return student.shape[1], teacher.shape[1]
    if student.ndim == teacher.ndim == 3 and student.shape[1] == teacher.shape[1]:
        return student.shape[2], teacher.shape[2]
    raise ValueError(f'cannot compare {names[0]!r} of the student, whose output is {tuple(student.shape[1:])}, with '
                     f'{names[1]!r} of the teacher, whose output is {tuple(teacher.shape[1:])}; expected maps '
                     '(channels, height, width) or tokens (number, channels) that differ in their channels alone: name '
                     'modules whose outputs are equally large')


def same_architecture(student: nn.Module, teacher: nn.Module) -> bool:
    """Whether two networks are one elastic architecture, so that what they share is in one order."""
    own, others = (getattr(network, 'backbone', None) for network in (student, teacher))
    return (isinstance(own, ElasticBackbone) and type(own) is type(others)
            and own.unit_groups() == others.unit_groups())


def state_names(network: nn.Module) -> list[str]:
    """Names of the modules whose outputs are the hidden states of an elastic network."""
    return names_of(network, network.backbone.hidden_state_modules)


def names_of(network: nn.Module, modules: Iterable[nn.Module]) -> list[str]:
    """Names of some modules of a network."""
    names = {module: name for name, module in network.named_modules()}
    return [names[module] for module in modules]


# --- pairs of modules, as a config names them ---

def are_pairs(layers: Any) -> bool:
    """Whether layers are named by pairs of modules, and not by numbers. Raises ValueError where they are neither."""
    if not isinstance(layers, (str, list, tuple)):
        raise ValueError(f"layers must be 'auto', a list of numbers, or a list of pairs of modules, got {layers!r}")
    return not isinstance(layers, str) and any(not isinstance(layer, int) for layer in layers)


def check_pairs(pairs: Sequence[tuple[str, str]], student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    """The pairs as they are, if both networks have the modules that they name; raises ValueError otherwise."""
    for names in pairs:
        is_pair = isinstance(names, (list, tuple)) and len(names) == 2 and all(isinstance(name, str) for name in names)
        if not is_pair:
            raise ValueError('layers must be numbers, or pairs, each the name of a module of the student and one of '
                             f"the teacher, e.g. [('backbone.stages.0', 'backbone.stages.0')]; got {names!r} as one")
        for name, network, whose in zip(names, (student, teacher), ('student', 'teacher'), strict=True):
            try:
                module_of(network, name)
            except ValueError as error:
                raise ValueError(f'of the {whose}: {error}') from error
    return [tuple(names) for names in pairs]
