"""MMPretrain's SwinTransformer, able to run as any candidate."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod

import torch.nn as nn
from mmcv.cnn.bricks.transformer import PatchMerging
from mmpretrain.models.backbones import SwinTransformer
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticFFN
from mmamd.backbones.elastic_transformer import ElasticTransformer, Site
from mmamd.backbones.elastic_window_attention import ElasticWindowAttention
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS


@MODELS.register_module()
class MaskedSwin(ElasticTransformer, SwinTransformer):
    """A SwinTransformer whose attention heads and hidden neurons can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function. The forward pass slices weights; it never multiplies by zeros.
    Units are ranked within their stage: a head of an early stage has many tokens and few weights, one of a late stage
    few tokens and many weights, so that no budget makes them comparable.

    For segmentation: several ``out_indices`` give a map a stage, and images of any size run. The weights of
    MMSegmentation's SwinTransformer, whose names are the same, load too.

    Does not support Swin V2, nor gradient checkpointing.

    Args:
        heads: Number of heads of each block, for a network that has been cut; the blocks of all stages one after
            another. Defaults to all of them.
        neurons: Number of hidden neurons of each block, likewise.
        **kwargs: Arguments of :class:`mmpretrain.models.SwinTransformer`.

    Raises:
        ValueError: If ``heads`` or ``neurons`` does not give one count a block, or a count is out of range; if a
            window does not fit the map of its stage; if the variant is not supported.
    """

    def __init__(self, *, heads: list[int] | None = None, neurons: list[int] | None = None, **kwargs) -> None:
        if 'pretrained_window_sizes' in kwargs:
            raise ValueError('MaskedSwin got pretrained_window_sizes, an argument of Swin V2, which is not supported; '
                             'expected the arguments of SwinTransformer')
        super().__init__(**kwargs)
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage.blocks):
                if block.with_cp:
                    raise ValueError(f'stages.{i}.blocks.{j}: with_cp=True is not supported, since scoring takes the '
                                     'gradients of single gates; set with_cp=False')
                block.attn = ElasticWindowAttention(block.attn, scope=f'stages.{i}')
                block.ffn = ElasticFFN(block.ffn, scope=f'stages.{i}')
        for _, block, map_size in self._blocks():
            block.attn.check_window(map_size)
        self.cut_to(heads, neurons)

    def sites(self) -> Iterator[Site]:
        for name, block, map_size in self._blocks():
            yield Site(name, 'head', block, 'norm1', 'attn', prod(map_size), place=(map_size,))
            yield Site(name, 'neuron', block, 'norm2', 'ffn', prod(map_size))

    def fixed_macs(self) -> int:
        macs = prod(self.patch_resolution) * self.patch_embed.projection.weight.numel()
        for stage, map_size in zip(self.stages, self._map_sizes(), strict=True):
            if stage.downsample is not None:
                macs += prod(merged_size(stage.downsample, map_size)) * stage.downsample.reduction.weight.numel()
        return macs

    def stem(self, images: Tensor) -> Tensor:
        x_NLC, _ = self.patch_embed(images)
        # Images have the size that the network was built for, so its positions need no resizing.
        return self.drop_after_pos(x_NLC + self.absolute_pos_embed if self.use_abs_pos_embed else x_NLC)

    def behind(self, site: Site) -> Step | None:
        for i, (stage, map_size) in enumerate(zip(self.stages, self._map_sizes(), strict=True)):
            if stage.downsample is not None and site.block is stage.blocks[-1] and site.kind == 'neuron':
                return Step(f'stages.{i}.downsample', partial(_merged, stage.downsample, map_size))
        return None

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        last = len(self.stages) - 1
        out_NLC = getattr(self, f'norm{last}')(stream)
        return (out_NLC.view(len(stream), *self._map_sizes()[last], -1).permute(0, 3, 1, 2),)

    def tail(self) -> Tail:
        """The last stage, the patch merging before it, and the norm behind it."""
        *_, before, last = (None, *self.stages)
        size = self._map_sizes()[-2:][0]
        norm = getattr(self, f'norm{len(self.stages) - 1}')

        def run(x_NLC: Tensor) -> Tensor:
            x_NLC, map_size = (x_NLC, size) if before is None else before.downsample(x_NLC, size)
            return norm(last(x_NLC, map_size)[0])

        return Tail(self.hidden_state_modules[-1 - len(last.blocks)], norm, run)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self.patch_embed.projection.in_channels, *self.patch_embed.init_input_size)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, L, C) are the hidden states, L and C of their stage: the embedding, every block."""
        return [self.drop_after_pos, *(block for _, block, _ in self._blocks())]

    def plain_config(self, config: dict, kept: dict[str, int]) -> dict:
        """Config of the host's own SwinTransformer cut to ``kept``; see ``MaskedViT.plain_config``.

        Raises:
            ValueError: As :meth:`check_plain`.
        """
        self.check_plain(kept, 'SwinTransformer', [
            heads for heads, depth in zip(self.num_heads, self.depths, strict=True) for _ in range(depth)])
        stages = []
        for i, depth in enumerate(self.depths):
            stage = _of(config.get('stage_cfgs', {}), i)
            blocks = [_of(stage.get('block_cfgs', {}), j) for j in range(depth)]
            own = [{**block, 'ffn_cfgs': {**block.get('ffn_cfgs', {}),
                                          'feedforward_channels': kept[f'stages.{i}.blocks.{j}.neuron']}}
                   for j, block in enumerate(blocks)]
            stages.append({**stage, 'block_cfgs': own})
        return {**{key: value for key, value in config.items() if key not in ('heads', 'neurons')},
                'type': 'SwinTransformer', 'stage_cfgs': stages}

    def present_names(self, state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
        # Once there was one norm, of the last stage, and the masks of shifted windows were stored. The host mends this
        # for its own class alone, not for a subclass.
        last = f'{prefix}norm{len(self.stages) - 1}.'
        return {last + key.removeprefix(f'{prefix}norm.') if key.startswith(f'{prefix}norm.') else key: value
                for key, value in state.items() if not (key.startswith(prefix) and key.endswith('.attn.attn_mask'))}

    def _blocks(self) -> Iterator[tuple[str, nn.Module, tuple[int, int]]]:
        """Name, block and size of its map, in network order."""
        for i, (stage, map_size) in enumerate(zip(self.stages, self._map_sizes(), strict=True)):
            for j, block in enumerate(stage.blocks):
                yield f'stages.{i}.blocks.{j}', block, map_size

    def _map_sizes(self) -> list[tuple[int, int]]:
        """Size of the map that the blocks of each stage run on."""
        sizes = [self.patch_resolution]
        for stage in self.stages[:-1]:
            sizes.append(merged_size(stage.downsample, sizes[-1]))
        return sizes


def _of(settings: dict | Sequence[dict], index: int) -> dict:
    """The host's settings of all parts, or of each."""
    return settings if isinstance(settings, dict) else settings[index]


def _merged(merging: PatchMerging, map_size: tuple[int, int], x_NLC: Tensor) -> Tensor:
    return merging(x_NLC, map_size)[0]


def merged_size(merging: PatchMerging, map_size: tuple[int, int]) -> tuple[int, int]:
    """Size of the map after patch merging."""
    pads = merging.adaptive_padding.get_pad_shape(map_size) if merging.adaptive_padding else (0, 0)
    sampler = merging.sampler
    return tuple(
        (side + pad + 2 * around - dilation * (kernel - 1) - 1) // stride + 1
        for side, pad, around, dilation, kernel, stride in zip(
            map_size, pads, sampler.padding, sampler.dilation, sampler.kernel_size, sampler.stride, strict=True))
