"""Elastic backbones whose units are convolution filters, from a description of who writes and who reads which channels.

A family says in plain data how its layers are joined; unit groups, gates, order, slices, cost and cut follow from it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from torch import Tensor
from torch.func import functional_call

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.elastic_conv import (
    Channels,
    ElasticBatchNorm2d,
    ElasticConstant,
    ElasticConv2d,
    ElasticDepthwiseConv2d,
    ElasticLayer,
    ZeroMap,
)
from mmamd.backbones.elastic_layers import num_params
from mmamd.backbones.elastic_sync_norm import ElasticSyncBatchNorm2d
from mmamd.passes import frozen_eval, watch
from mmamd.pruning.filter_norms import FilterLayer
from mmamd.structures import Cost

IMAGE = 'image'  # the channels that the first convolution reads


class Wire(NamedTuple):
    """One layer and the channels that it joins.

    Attributes:
        layer: Name of a convolution or a batch norm within the backbone.
        reads, writes: Names of the channels before and behind it; a norm and a depthwise convolution write what they
            read.
    """

    layer: str
    reads: str
    writes: str


@dataclass(frozen=True)
class Residual:
    """A residual branch, which may lose all filters of an inner layer, for its shortcut remains.

    Attributes:
        layers: Names of its layers, in the order in which they run.
        inner: Names of the unit groups within it. Without units of one of them the branch says the same everywhere.
        stride: Steps between neighbouring positions of its output, in positions of its input.
    """

    layers: tuple[str, ...]
    inner: tuple[str, ...]
    stride: tuple[int, int]

    def is_empty(self, kept: dict[str, int]) -> bool:
        return not all(kept.get(name, 0) for name in self.inner)


class ElasticConvNet(ElasticBackbone):
    """An elastic backbone whose units are the filters of its convolutions.

    A unit group is the channels that one convolution writes, or those that several write in common because their
    outputs are added: in a residual stage the outputs of all blocks have the indices of the shortcut. Each group is a
    scope of its own, so that every layer loses the same ratio (Li et al. 2017). The channels that leave the backbone
    are not pruned, as the embedding width of a transformer is not.

    The inner layers of a residual branch may lose all filters; the branch is then a constant. Elsewhere one filter
    stays in each layer.

    A subclass describes itself by :meth:`wires`, :meth:`residuals` and :meth:`outputs`, and calls
    :meth:`make_elastic` last in its constructor.
    """

    traces_any_size = True

    def wires(self) -> Iterator[Wire]:
        """All convolutions and norms, in network order.

        Of the convolutions that write the same channels the first one ranks them; let it be that of the shortcut.
        """
        raise NotImplementedError

    def residuals(self) -> Iterator[tuple[str, ...]]:
        """Names of the layers of each residual branch, in the order in which they run. Default: there is none."""
        return iter(())

    def outputs(self) -> set[str]:
        """Names of the channels that leave the backbone, and of others that are not to be pruned."""
        raise NotImplementedError

    # --- construction ---

    def make_elastic(self, img_size: int | Sequence[int], filters: list[int] | None) -> None:
        """Exchange the layers for elastic ones, and cut to ``filters``, one count a unit group, unless it is None.

        Raises:
            ValueError: If a layer cannot be pruned by filters, channels that are added are not equally many, or
                ``filters`` does not fit; it names the layer or the group.
        """
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        wires = list(self.wires())
        self._channels = self._shared_channels(wires)
        for number, wire in enumerate(wires):
            self._exchange(wire.layer, self._elastic(wire))
            if isinstance(self.get_submodule(wire.layer), ElasticDepthwiseConv2d):
                self._pass_gate_on(wires[:number], wire.reads)
        self._residuals = [self._residual(layers, wires) for layers in self.residuals()]
        inner = {name for residual in self._residuals for name in residual.inner}
        written = dict.fromkeys(wire.writes for wire in wires if self._is_conv(wire))  # in network order
        self._units = [group_name(name) for name in written if name not in self.outputs()]
        # The convolution that ranks a group, and the group that it reads.
        ranks = {group_name(wire.writes): wire for wire in reversed(wires) if self._is_conv(wire)}
        self._ranked_by = {name: (ranks[name].layer, group_name(ranks[name].reads)) for name in self._units}
        for name in inner:
            self._channels[name].min_count = 0
        self._attach()
        self._check_norms()
        self._map_sizes = None
        if filters is not None:
            self._cut_to(filters)

    def _shared_channels(self, wires: list[Wire]) -> dict[str, Channels]:
        """Channels by the name of their unit group, each as many as all layers say."""
        found: dict[str, Channels] = {}
        for layer, reads, writes in wires:
            module = self.get_submodule(layer)
            # Not a subclass, such as one with standardised weights: what is sliced here is the host's plain function.
            is_depthwise = reads == writes and getattr(module, 'groups', 1) == getattr(module, 'out_channels', 0)
            if type(module) is nn.Conv2d and (module.groups == 1 or is_depthwise):
                sides = {group_name(reads): module.in_channels, group_name(writes): module.out_channels}
            elif _is_batch_norm(module) and module.affine and module.track_running_stats:
                sides = {group_name(reads): module.num_features}
            else:
                raise ValueError(f'{layer} is {module}, which cannot be pruned by filters; expected a Conv2d of one '
                                 'group or a depthwise one, or a BatchNorm2d with weight, bias and running statistics: '
                                 "leave out conv_cfg, set norm_cfg=dict(type='BN'), or 'SyncBN'")
            for name, count in sides.items():
                expected = found.setdefault(name, Channels(name, count, min_count=1)).count
                if count != expected:
                    raise ValueError(f'{layer} has {count} channels, but {expected} are in {name}, to which they are '
                                     'added: the shortcut cannot follow. Give the first block of the stage a '
                                     'projection shortcut, or all blocks of the stage the same width')
        return found

    def _elastic(self, wire: Wire) -> ElasticLayer:
        host = self.get_submodule(wire.layer)
        reads, writes = (self._channels[group_name(name)] for name in (wire.reads, wire.writes))
        if isinstance(host, nn.Conv2d) and host.groups > 1:
            return ElasticDepthwiseConv2d(host, writes)
        if isinstance(host, nn.Conv2d):
            return ElasticConv2d(host, reads, writes)
        return (ElasticSyncBatchNorm2d if isinstance(host, nn.SyncBatchNorm) else ElasticBatchNorm2d)(host, reads)

    def _residual(self, layers: tuple[str, ...], wires: list[Wire]) -> Residual:
        convs = [wire for wire in wires if wire.layer in layers and self._is_conv(wire)]
        strides = [self.get_submodule(wire.layer).stride for wire in convs]
        return Residual(layers, tuple(group_name(wire.writes) for wire in convs[:-1]),
                        tuple(prod(axis) for axis in zip(*strides, strict=True)))

    def _pass_gate_on(self, before: list[Wire], channels: str) -> None:
        """Of the norms before a depthwise convolution and behind it, the last one has the gate."""
        for wire in before:
            layer = self.get_submodule(wire.layer)
            if wire.writes == channels and isinstance(layer, ElasticBatchNorm2d):
                layer.is_gated = False

    def _is_conv(self, wire: Wire) -> bool:
        return isinstance(self.get_submodule(wire.layer), ElasticConv2d)

    def _exchange(self, name: str, module: nn.Module) -> None:
        parent, _, attribute = name.rpartition('.')
        setattr(self.get_submodule(parent), attribute, module)

    def _attach(self) -> None:
        """Tell all channels which layers have them."""
        for channels in self._channels.values():
            channels.layers = [layer for layer in self._layers().values() if channels in layer.channels()]

    def _check_norms(self) -> None:
        for name, channels in self.branches():
            if not any(isinstance(layer, ElasticBatchNorm2d) for layer in channels.layers):
                raise ValueError(f'{name} has no batch norm, on which its gate acts; expected a norm behind or '
                                 'before each convolution')

    # --- the contract ---

    def branches(self) -> Iterator[tuple[str, Channels]]:
        return ((name, self._channels[name]) for name in self._units if name in self._channels)

    def filter_layers(self) -> list[FilterLayer]:
        units = dict(self.branches())
        return [FilterLayer(name, self.get_submodule(layer).weight.detach(), reads if reads in units else None)
                for name, (layer, reads) in self._ranked_by.items() if name in units]

    def cost(self, kept: dict[str, int]) -> Cost:
        """As the contract says; an empty residual branch is its constant alone."""
        layers = self._layers()
        total = Cost(0, num_params(self) - sum(num_params(layer) for layer in layers.values()))
        for residual in self._residuals:
            if residual.is_empty(kept):
                last = [layers.pop(name, None) for name in residual.layers][-1]
                if last is not None and last.bias is not None:
                    total += Cost(0, last.size('bias', kept))
        map_sizes = self._sizes_of_maps()
        for name, layer in layers.items():
            total += layer.cost(kept, map_sizes.get(name, 0))
        return total

    def cut(self, kept: dict[str, int]) -> None:
        """As the contract says; an empty residual branch becomes the constant that it is in eval mode."""
        self.activate(kept)  # refuses a wrong count before anything is removed
        empty = [residual for residual in self._residuals if residual.is_empty(kept)]
        constants = self._see([residual.layers[-1] for residual in empty], lambda out: out[0, :, 0, 0].clone())
        for layer in self._layers().values():
            layer.cut()
        for channels in self._channels.values():
            channels.count = channels.active
        for residual in empty:
            self._replace(residual, constants[residual.layers[-1]])
        self._channels = {name: channels for name, channels in self._channels.items() if channels.count}
        # A group may be left without layers although it keeps units: its branch lost those of another layer.
        self._attach()
        self._channels = {name: channels for name, channels in self._channels.items() if channels.layers}

    def _replace(self, residual: Residual, constant: Tensor) -> None:
        first, *others, last = residual.layers
        ending = self.get_submodule(last)
        self._exchange(first, ZeroMap(residual.stride))
        for name in others:
            self._exchange(name, nn.Identity())
        writes = getattr(ending, 'writes', getattr(ending, 'normalises', None))
        has_bias = getattr(ending, 'bias', None) is not None
        self._exchange(last, ElasticConstant(constant, writes) if has_bias else nn.Identity())

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        return (stream,)

    def cut_arguments(self, kept: dict[str, int]) -> dict[str, list[int]]:
        return {'filters': [kept.get(name, 0) for name in self._units]}

    def _cut_to(self, filters: list[int]) -> None:
        if len(filters) != len(self._units):
            raise ValueError(f'filters must give one count for each of the {len(self._units)} unit groups '
                             f'{self._units}, got {len(filters)}: {filters}')
        self.cut(dict(zip(self._units, filters, strict=True)))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self._channels[group_name(IMAGE)].count, *self.img_size)

    # --- seen by running ---

    def _layers(self) -> dict[str, ElasticLayer]:
        return {name: module for name, module in self.named_modules() if isinstance(module, ElasticLayer)}

    def _sizes_of_maps(self) -> dict[str, int]:
        """Positions of the output of each convolution; the same for every candidate, so they are seen once."""
        if self._map_sizes is None:
            convs = [name for name, layer in self._layers().items() if isinstance(layer, ElasticConv2d)]
            # Shapes alone, without arithmetic: a large map through a deep network takes a CPU half a minute.
            self._map_sizes = self._see(convs, lambda out: prod(out.shape[2:]), device='meta')
        return self._map_sizes

    def _see(self, names: list[str], read: Callable[[Tensor], Any], device: str | None = None) -> dict[str, Any]:
        """What ``read`` makes of the outputs of some modules, for one image of zeros in eval mode."""
        if not names:
            return {}
        like = next(self.parameters())
        tensors = {name: tensor.to(device) for name, tensor in chain(self.named_parameters(), self.named_buffers())}
        image = torch.zeros(1, *self.input_shape, dtype=like.dtype, device=device or like.device)
        with frozen_eval(self), torch.no_grad(), watch(
                self, names, lambda output, _before: read(output)) as seen:
            functional_call(self, tensors, (image,))
        return seen


def _is_batch_norm(module: nn.Module) -> bool:
    return type(module) is nn.BatchNorm2d or isinstance(module, nn.SyncBatchNorm)


def group_name(channels: str) -> str:
    """Name of the unit group of some channels."""
    return f'{channels}.{Channels.kind}'
