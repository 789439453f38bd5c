"""A network that trains as one candidate has that candidate's units alone, and its weights are put in place afterwards.

So the gradients, the moments of an optimizer, the buckets of several processes and the checkpoints are those of the
candidate, not of the network that it is cut from. The names of all weights stay as they are.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.structures import Candidate, Network
from mmamd.weights.networks import build_network


def shrinks(candidates: Sequence[Candidate | None]) -> bool:
    """Whether one candidate is trained, and that is a part of its network."""
    return len(candidates) == 1 and candidates[0] is not None and candidates[0].kept is not None


def shrink(network: nn.Module, kept: dict[str, int]) -> None:
    """Remove all units but the leading ones of each group, in place; of a group of none one stays, which does not run.

    No random number is drawn.

    Args:
        network: Of an elastic backbone.
        kept: Group name -> number of leading units.
    """
    trained = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    with torch.random.fork_rng(devices=[]):
        network.backbone.cut({name: max(1, count) for name, count in kept.items()})
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trained[name])
    network.backbone.activate(kept)


def in_place(architecture: dict, candidates: Sequence[Candidate | None], state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that a network of ``architecture`` has in training, as those of the whole network."""
    if not shrinks(candidates):
        return state
    with torch.random.fork_rng(devices=[]):
        network = build_network(Network(architecture, None))
    return widened(network, candidates[0].kept, state)


@torch.no_grad()
def widened(network: nn.Module, kept: dict[str, int], small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a shrunk network in their places among those of the whole one; all other weights are 0.

    Args:
        network: The whole network, of any weights; it is left as it is.
        kept: As it was shrunk.
        small: State dict of the shrunk network.
    """
    # What is left of weights that are their own places, when their network is shrunk, are the places of what is left.
    traced = copy.deepcopy(network).double()  # exact for any number of weights
    for tensor in filter(torch.is_floating_point, traced.state_dict().values()):
        tensor.copy_(torch.arange(tensor.numel()).view_as(tensor))
    shrink(traced, kept)
    whole = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name, places in traced.state_dict().items():
        if places.is_floating_point():
            whole[name].put_(places.long(), small[name])
        else:
            whole[name] = small[name]
    return whole
