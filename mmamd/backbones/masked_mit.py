"""MMSegmentation's MixVisionTransformer (SegFormer), able to run as any candidate."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod

import torch.nn as nn
from mmseg.models.backbones import MixVisionTransformer
from torch import Tensor

from mmamd.backbones.elastic_mix_ffn import ElasticMixFFN
from mmamd.backbones.elastic_reduced_attention import ElasticReducedAttention
from mmamd.backbones.elastic_transformer import ElasticTransformer, Site
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS


@MODELS.register_module()
class MaskedMiT(ElasticTransformer, MixVisionTransformer):
    """A MixVisionTransformer whose attention heads and hidden neurons can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMSegmentation checkpoint of the network loads, and with
    all units active it computes the host's function, for images of any size. The forward pass slices weights; it never
    multiplies by zeros. Units are ranked within their stage, as those of Swin. A first stage of one head a block
    (MiT-b0) loses its heads last block first, for the only unit of a layer has no score to compare.

    Returns maps (N, C, H, W) of the stages in ``out_indices``, in a tuple.

    Does not support attention without biases, nor gradient checkpointing.

    Args:
        img_size: Height and width of the images that ``cost`` speaks of.
        heads: Number of heads of each block, for a network that has been cut; the blocks of all stages one after
            another. Defaults to all of them.
        neurons: Number of hidden neurons of each block, likewise.
        **kwargs: Arguments of :class:`mmseg.models.MixVisionTransformer`.

    Raises:
        ValueError: If ``heads`` or ``neurons`` does not give one count a block, or a count is out of range; if images
            of ``img_size`` are too small for a stage; if the variant is not supported.
    """

    traces_any_size = True

    def __init__(self, *, img_size: int | Sequence[int] = 512, heads: list[int] | None = None,
                 neurons: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.with_cp:
            raise ValueError('MaskedMiT does not support with_cp=True, since scoring takes the gradients of single '
                             'gates; set with_cp=False')
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        for i, (map_size, reduction) in enumerate(zip(self._map_sizes(), self.sr_ratios, strict=True)):
            if min(map_size) < reduction:
                raise ValueError(f'img_size={self.img_size} leaves a map of {map_size} to layers.{i}, whose attention '
                                 f'reduces it by {reduction}; use larger images')
            for block in self.layers[i][1]:
                block.attn = ElasticReducedAttention(block.attn, scope=f'layers.{i}')
                block.ffn = ElasticMixFFN(block.ffn, scope=f'layers.{i}')
        self.cut_to(heads, neurons)

    def forward(self, x_NCHW: Tensor) -> tuple[Tensor, ...]:
        return tuple(super().forward(x_NCHW))

    def sites(self) -> Iterator[Site]:
        for i, ((_, blocks, _), map_size) in enumerate(zip(self.layers, self._map_sizes(), strict=True)):
            for j, block in enumerate(blocks):
                for kind, norm, branch in (('head', 'norm1', 'attn'), ('neuron', 'norm2', 'ffn')):
                    yield Site(f'layers.{i}.1.{j}', kind, block, norm, branch, prod(map_size), place=(map_size,))

    def fixed_macs(self) -> int:
        return sum(prod(map_size) * embed.projection.weight.numel()
                   for (embed, *_), map_size in zip(self.layers, self._map_sizes(), strict=True))

    def stem(self, images: Tensor) -> Tensor:
        return self.layers[0][0](images)[0]

    def behind(self, site: Site) -> Step | None:
        for i, (_, blocks, _) in enumerate(self.layers[:-1]):
            if site.block is blocks[-1] and site.kind == 'neuron':
                return Step(f'layers.{i + 1}.0', partial(self._enter, i + 1))
        return None

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        return (self._leave(len(self.layers) - 1, stream),)

    def tail(self) -> Tail:
        """The last stage, the patch embedding before it, and the norm behind it."""
        last = len(self.layers) - 1
        _, blocks, norm = self.layers[last]
        map_size = self._map_sizes()[last]

        def run(x_NLC: Tensor) -> Tensor:
            x_NLC = self._enter(last, x_NLC) if last else x_NLC
            for block in blocks:
                x_NLC = block(x_NLC, map_size)
            return norm(x_NLC)

        return Tail(self.hidden_state_modules[-1 - len(blocks)], norm, run)

    def _enter(self, stage: int, x_NLC: Tensor) -> Tensor:
        """From the stream of the stage before to that of a stage."""
        return self.layers[stage][0](self._leave(stage - 1, x_NLC))[0]

    def _leave(self, stage: int, x_NLC: Tensor) -> Tensor:
        """What a stage puts out, (N, C, H, W), from the stream behind its last block."""
        return self.layers[stage][2](x_NLC).transpose(1, 2).unflatten(2, self._map_sizes()[stage])

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self.layers[0][0].projection.in_channels, *self.img_size)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, L, C) are the hidden states, L and C of their stage: the embedding, every block."""
        return [self.layers[0][0].norm, *(block for _, blocks, _ in self.layers for block in blocks)]

    def _map_sizes(self) -> list[tuple[int, int]]:
        """Size of the map that the blocks of each stage run on."""
        sizes = [self.img_size]
        for embed, *_ in self.layers:
            conv = embed.projection
            sizes.append(tuple((side + 2 * pad - kernel) // stride + 1 for side, pad, kernel, stride in zip(
                sizes[-1], conv.padding, conv.kernel_size, conv.stride, strict=True)))
        return sizes[1:]
