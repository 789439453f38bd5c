"""Exact cost of a network cut to a candidate.

Convention: MACs of one image are those of matrix products and convolutions, the two products of attention included.
Norms, activations, softmax, pooling and additions (biases, residuals) are not counted. Parameters are all parameters,
each once.

The backbone knows its own cost in closed form; the rest (neck, head) is measured once. Of the rest, ``nn.Linear`` and
``nn.Conv2d`` are supported; another module that owns a weight matrix is an error, never silently zero.
"""

from collections.abc import Callable

import torch
import torch.nn as nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmamd.passes import frozen_eval, watch
from mmamd.structures import Cost

PART_OF_KIND = {'head': 'attention', 'neuron': 'feed-forward', 'filter': 'convolution'}


def network_cost(network: nn.Module, kept: dict[str, int] | None = None) -> Cost:
    """MACs of one image and parameters of the whole network cut to ``kept``; None keeps all units."""
    if kept is None:
        kept = {group.name: group.count for group in network.backbone.unit_groups()}
    return cost_function(network)(kept)


def cost_function(network: nn.Module) -> Callable[[dict[str, int]], Cost]:
    """Function from kept counts to the cost of the whole network, which measures the rest only once."""
    rest = rest_cost(network)
    return lambda kept: network.backbone.cost(kept) + rest


def fixed_share(network: nn.Module) -> float:
    """Share of the MACs that pruning never removes: of what keeps no more units than each group must."""
    cost, groups = cost_function(network), network.backbone.unit_groups()
    least, whole = (cost({group.name: getattr(group, count) for group in groups}) for count in ('min_count', 'count'))
    return least.macs / whole.macs


def cost_by_part(network: nn.Module) -> dict[str, Cost]:
    """Part -> its cost, which sum up to :func:`network_cost`: what no pruning removes, each kind of units, the rest.

    A kind of units is what its removal takes away, norms of emptied branches included; ``'fixed part'`` is the backbone
    without any units, ``'rest'`` all outside the backbone.
    """
    groups = network.backbone.unit_groups()
    kept = {group.name: group.count for group in groups}
    parts, before = {}, network.backbone.cost(kept)
    for kind in dict.fromkeys(group.kind for group in groups):
        kept |= {group.name: group.min_count for group in groups if group.kind == kind}
        after = network.backbone.cost(kept)
        parts[PART_OF_KIND[kind]] = Cost(before.macs - after.macs, before.params - after.params)
        before = after
    return {'fixed part': before, **parts, 'rest': rest_cost(network)}


def profiled_cost(network: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """MACs of one image and parameters of any network or backbone, as torch's profiler of operations sees them.

    For a network that is no elastic one; of the convention above, the two products of attention included.
    """
    weight = next(network.parameters())
    image = torch.zeros(1, *input_shape, dtype=weight.dtype, device=weight.device)
    with frozen_eval(network), torch.no_grad():
        macs = profiled_macs(lambda: network(image))
    return Cost(macs, sum(p.numel() for p in network.parameters()))


def profiled_macs(run: Callable[[], object]) -> int:
    """MACs of all that a function computes, of backward passes too, as torch's profiler of operations sees them."""
    profiler = FlopCounterMode(display=False)
    # The plain kernel of attention is made of matrix products, which the profiler counts.
    with sdpa_kernel(SDPBackend.MATH), profiler:
        run()
    return profiler.get_total_flops() // 2


def rest_cost(network: nn.Module) -> Cost:
    """MACs of one image and parameters of everything outside ``network.backbone``.

    Runs one zero image of ``network.backbone.input_shape`` through the network in eval mode, which is restored.
    Parameters that only training uses (an auxiliary head) count as parameters; their MACs do not occur.

    Raises:
        ValueError: If a module outside the backbone owns a weight matrix whose products it cannot count.
    """
    backbone_modules, backbone_params = set(network.backbone.modules()), set(network.backbone.parameters())
    params = sum(p.numel() for p in network.parameters() if p not in backbone_params)
    counted: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        if module in backbone_modules:
            continue
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            counted[name] = module
        elif any(p.ndim > 1 for p in module.parameters(recurse=False)):
            raise ValueError(f'cannot count the MACs of {name!r} ({type(module).__name__}): outside the backbone only '
                             'Linear and Conv2d may own a weight matrix')

    weight = next(network.backbone.parameters())
    image = torch.zeros(1, *network.backbone.input_shape, dtype=weight.dtype, device=weight.device)
    with frozen_eval(network), torch.no_grad(), watch(
            network, counted, lambda output, before: (before or 0) + output.numel()) as values:
        network(image, mode='tensor')
    # weight[0] is the kernel of one output value: in_features, or in_channels / groups x height x width.
    macs = sum(count * counted[name].weight[0].numel() for name, count in values.items())
    return Cost(macs, params)
