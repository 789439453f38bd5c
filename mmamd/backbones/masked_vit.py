"""MMPretrain's VisionTransformer, able to run as any candidate."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from mmpretrain.models.backbones import VisionTransformer
from torch import Tensor

from mmamd.backbones.elastic_layers import BiasBranch, ElasticAttention, ElasticBranch, ElasticFFN, num_params
from mmamd.registry import MODELS
from mmamd.structures import Cost, UnitGroup


@MODELS.register_module()
class MaskedViT(VisionTransformer):
    """A VisionTransformer whose attention heads and hidden neurons can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function. The forward pass slices weights; it never multiplies by zeros.

    Does not support SwiGLU feed-forward layers, nor more than two linear layers in one.

    Args:
        heads: Number of heads of each block, for a network that has been cut. Defaults to all of them.
        neurons: Number of hidden neurons of each block, likewise.
        **kwargs: Arguments of :class:`mmpretrain.models.VisionTransformer`.

    Raises:
        ValueError: If ``heads`` or ``neurons`` does not give one count a block, or a count is out of range.
    """

    def __init__(self, *, heads: list[int] | None = None, neurons: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        for layer in self.layers:
            layer.attn = ElasticAttention(layer.attn)
            layer.ffn = ElasticFFN(layer.ffn)
        for kind, counts in (('head', heads), ('neuron', neurons)):
            if counts is not None and len(counts) != self.num_layers:
                raise ValueError(f'{kind}s must give one count for each of the {self.num_layers} blocks, '
                                 f'got {len(counts)}: {counts}')
        kept = {group.name: group.count for group in self.unit_groups()}
        kept |= {f'layers.{i}.head': count for i, count in enumerate(heads or [])}
        kept |= {f'layers.{i}.neuron': count for i, count in enumerate(neurons or [])}
        self.cut(kept)

    # --- what there is to prune, and what it costs ---

    def branches(self) -> Iterator[tuple[str, ElasticBranch]]:
        """Branches that still have units, by the name of their unit group, in network order."""
        for i, layer in enumerate(self.layers):
            for branch in (layer.attn, layer.ffn):
                if isinstance(branch, ElasticBranch):
                    yield f'layers.{i}.{branch.kind}', branch

    def unit_groups(self) -> list[UnitGroup]:
        """One group a branch; heads and neurons are each ranked over the whole network (scope 'all')."""
        return [UnitGroup(name, branch.kind, branch.count) for name, branch in self.branches()]

    def cost(self, kept: dict[str, int]) -> Cost:
        """MACs of one image of ``input_shape`` and parameters of the backbone cut to ``kept``.

        Counts every matrix product and convolution, attention's two products included; norms, activations, softmax
        and additions are not counted. An empty branch is its bias; its norm is neither run nor counted.
        """
        conv = self.patch_embed.projection
        num_patches = self.patch_resolution[0] * self.patch_resolution[1]
        num_tokens = num_patches + self.num_extra_tokens
        prunable = [m for layer in self.layers for m in (layer.ln1, layer.attn, layer.ln2, layer.ffn)]
        fixed_params = num_params(self) - sum(num_params(m) for m in prunable)
        total = Cost(num_patches * conv.weight.numel(), fixed_params)
        for i, layer in enumerate(self.layers):
            for norm, branch in ((layer.ln1, layer.attn), (layer.ln2, layer.ffn)):
                if isinstance(branch, BiasBranch):
                    total += Cost(0, num_params(branch))
                    continue
                count = kept[f'layers.{i}.{branch.kind}']
                total += branch.cost(count, num_tokens)
                total += Cost(0, num_params(norm) if count else 0)
        return total

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images that ``cost`` speaks of."""
        return (self.patch_embed.projection.in_channels, *self.img_size)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, L, C) are the hidden states: the embedding, then every block."""
        return [self.pre_norm, *self.layers]

    # --- the four things done to the units ---

    @contextmanager
    def gates(self, batch_size: int) -> Iterator[dict[str, Tensor]]:
        """Multiply each unit's contribution by a gate a sample while the context lasts.

        Yields:
            Group name -> leaf tensor of ones, shape (batch_size, count), that receives a gradient.
        """
        like = self.pos_embed
        gates = {name: torch.ones(batch_size, branch.count, dtype=like.dtype, device=like.device, requires_grad=True)
                 for name, branch in self.branches()}
        try:
            for name, branch in self.branches():
                branch.gate = gates[name]
            yield gates
        finally:
            for _, branch in self.branches():
                branch.gate = None

    def reorder(self, order: dict[str, list[int]]) -> None:
        """Permute the units of the named groups in place; the function is unchanged."""
        branches = dict(self.branches())
        for name, indices in order.items():
            if sorted(indices) != list(range(branches[name].count)):
                raise ValueError(f'the order of {name} must be a permutation of its {branches[name].count} units, '
                                 f'got {indices}')
        for name, indices in order.items():
            branches[name].reorder(indices)

    def activate(self, kept: dict[str, int] | None = None) -> None:
        """Run as the sub-network that keeps the first ``kept[name]`` units of each group; None runs all."""
        for name, branch in self.branches():
            branch.activate(branch.count if kept is None else kept[name])

    def cut(self, kept: dict[str, int]) -> None:
        """Remove all but the first ``kept[name]`` units of each group for good; an empty branch loses its norm too.

        The result is what ``MaskedViT(heads=..., neurons=...)`` with these counts builds.
        """
        for name, branch in list(self.branches()):
            branch.activate(kept[name])
        for i, layer in enumerate(self.layers):
            for attr, norm in (('attn', 'ln1'), ('ffn', 'ln2')):
                branch = getattr(layer, attr)
                if not isinstance(branch, ElasticBranch):
                    continue
                count = kept[f'layers.{i}.{branch.kind}']
                if count < branch.count:
                    setattr(layer, attr, branch.cut(count))
                if count == 0:
                    setattr(layer, norm, nn.Identity())

    def cut_arguments(self, kept: dict[str, int]) -> dict[str, list[int]]:
        """Constructor arguments that build this network cut to ``kept``."""
        return {f'{kind}s': [kept.get(f'layers.{i}.{kind}', 0) for i in range(self.num_layers)]
                for kind in ('head', 'neuron')}
