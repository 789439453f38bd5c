"""Importance of convolution filters without data: the L1 norm of their weights (Li et al. 2017, section 3.1).

    s_j = sum over input channels i of || F_j,i ||_1

``independent`` sums over all input channels, ``greedy`` over those that are not removed in the layers before
(section 3.2). Which are removed depends on the candidate; one family needs one order, so the student's are taken.

Shapes: O filters of a layer, I input channels, h x w the kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from mmamd.structures import UnitGroup


class FilterLayer(NamedTuple):
    """A convolution whose filters are the units of a group.

    Where several convolutions write the channels of one group, this is the one that ranks them: the shortcut's.

    Attributes:
        group: Name of the unit group of its filters.
        weight: Its weights, (O, I, h, w).
        reads: Name of the unit group whose filters write its I input channels; None if these are not pruned.
    """

    group: str
    weight: Tensor
    reads: str | None


def independent_norms(layers: Sequence[FilterLayer]) -> dict[str, list[float]]:
    """L1 norm of every filter over all of its input channels, by group."""
    return {layer.group: _norms(layer.weight).sum(1).tolist() for layer in layers}


def greedy_norms(layers: Sequence[FilterLayer], kept: dict[str, int]) -> dict[str, list[float]]:
    """L1 norm of every filter over the input channels that remain, by group.

    Args:
        layers: In network order: a layer behind those whose filters it reads.
        kept: Group name -> filters that the student keeps. Its best ones remain, by their own norms; of equal ones
            those of the lower index.

    A layer of which the student keeps no input channel has no such norm; its filters are ranked by all.

    Raises:
        ValueError: If a layer stands before the one it reads.
    """
    norms: dict[str, Tensor] = {}
    for layer in layers:
        norms_OI = _norms(layer.weight)
        if layer.reads is not None:
            if layer.reads not in norms:
                raise ValueError(f'{layer.group} reads {layer.reads}, which is not before it; give the layers in '
                                 'network order')
            best = norms[layer.reads].sort(descending=True, stable=True).indices[:kept[layer.reads]]
            if len(best):
                norms_OI = norms_OI[:, best]
        norms[layer.group] = norms_OI.sum(1)
    return {name: norms_O.tolist() for name, norms_O in norms.items()}


def check_filters(layers: Sequence[FilterLayer], groups: Sequence[UnitGroup]) -> None:
    """Raise ValueError unless every unit group is ranked by a convolution."""
    without = [group.name for group in groups if group.name not in {layer.group for layer in layers}]
    if without:
        raise ValueError(f'the L1 norm ranks convolution filters, but {without[0]}'
                         f'{f" (and {len(without) - 1} more)" if without[1:] else ""} has none; set '
                         "compression.importance.method='taylor'")


def _norms(weight_OIhw: Tensor) -> Tensor:
    """L1 norm of each kernel, (O, I), in double precision."""
    return weight_OIhw.double().abs().sum((2, 3)).cpu()
