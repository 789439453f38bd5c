"""Networks of a config before they have weights, to be asked for their shapes and costs."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn as nn

from mmamd.pipeline.config.host_parts import building
from mmamd.pruning.complexity import profiled_cost
from mmamd.structures import Cost, Network
from mmamd.weights.networks import build_network


@dataclass
class Untrained:
    """A network that need not be elastic.

    Attributes:
        where: Key of the config that it is named by.
        architecture: Its config, preprocessor included.
        input_shape: (channels, height, width) of the images that it is to see.
    """

    where: str
    architecture: dict
    input_shape: tuple[int, int, int]

    @cached_property
    def network(self) -> nn.Module:
        return untrained(self.where, self.architecture)

    @cached_property
    def logits_shape(self) -> tuple[int, ...]:
        """Shape of its logits of one image."""
        with building(self.where, self.architecture):
            return logits_shape(self.network, self.input_shape)

    @cached_property
    def cost(self) -> Cost:
        with building(self.where, self.architecture):
            return profiled_cost(self.network, self.input_shape)

    @cached_property
    def backbone_cost(self) -> Cost:
        with building(self.where, self.architecture):
            return profiled_cost(self.network.backbone, self.input_shape)


def untrained(where: str, architecture: dict) -> nn.Module:
    """A network of drawn weights; what a run draws later does not depend on whether it was built."""
    with torch.random.fork_rng(devices=[]), building(where, architecture):
        return build_network(Network(architecture, None))


@torch.no_grad()
def logits_shape(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Shape of a network's logits of one image. Raises ValueError if its head gives something else."""
    logits = network(torch.zeros(1, *input_shape), mode='tensor')
    if not isinstance(logits, torch.Tensor):
        raise ValueError(f'the head of a {type(network).__name__} gives a {type(logits).__name__} and not logits '
                         'alone, so there is nothing that teacher and student could be compared by; take another head')
    return tuple(logits.shape[1:])
