"""A network that trains as one candidate has that candidate's units alone, and its weights are put in place afterwards.

So the gradients, the moments of an optimizer, the buckets of several processes and the checkpoints are those of the
candidate, not of the network that it is cut from. The names of all weights stay as they are.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.structures import Candidate, Network
from mmamd.weights.networks import build_network


def shrinks(candidates: Sequence[Candidate | None], network: nn.Module) -> bool:
    """Whether one candidate is trained that is a part of the network."""
    return (len(candidates) == 1 and candidates[0] is not None and candidates[0].kept is not None
            and isinstance(network.backbone, ElasticBackbone))


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
    with torch.random.fork_rng(devices=[]):
        network = build_network(Network(architecture, None))
    return widened(network, candidates[0].kept, state) if shrinks(candidates, network) else state


@torch.no_grad()
def widened(network: nn.Module, kept: dict[str, int], small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a shrunk network in their places among those of the whole one; all other weights are 0.

    Args:
        network: The whole network, of any weights; it is left as it is.
        kept: As it was shrunk.
        small: State dict of the shrunk network.
    """
    whole = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    places = _places(network, kept)
    for name, value in small.items():
        if value.shape == whole[name].shape:
            whole[name] = value
        else:
            whole[name][torch.meshgrid(*places[name], indexing='ij')] = value
    return whole


def _places(network: nn.Module, kept: dict[str, int]) -> dict[str, list[Tensor]]:
    """Name of a tensor -> along each of its dims, which entries are left of it when its network is shrunk.

    Found by shrinking networks whose entries are their own places along a dim: exact below 2^24 in float32.
    """
    places: dict[str, list[Tensor]] = {}
    for dim in range(max(tensor.ndim for tensor in network.state_dict().values())):
        traced = copy.deepcopy(network)
        for tensor in traced.state_dict().values():
            if tensor.ndim > dim and tensor.is_floating_point():
                tensor.copy_(torch.arange(tensor.shape[dim]).view(-1, *[1] * (tensor.ndim - dim - 1)).expand_as(tensor))
        shrink(traced, kept)
        for name, tensor in traced.state_dict().items():
            if tensor.ndim > dim and tensor.is_floating_point():
                first = tensor[tuple(slice(None) if d == dim else 0 for d in range(tensor.ndim))]
                places.setdefault(name, []).append(first.long())
    return places
