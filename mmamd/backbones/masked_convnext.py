"""MMPretrain's ConvNeXt, able to run as any candidate."""

from collections.abc import Iterator, Sequence
from math import prod

import torch.nn as nn
from mmpretrain.models.backbones import ConvNeXt
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.elastic_convnext_block import ConvNeXtStep, ElasticConvNeXtBlock
from mmamd.backbones.elastic_layers import num_params
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS
from mmamd.structures import Cost


@MODELS.register_module()
class MaskedConvNeXt(ElasticBackbone, ConvNeXt):
    """A ConvNeXt whose hidden neurons can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function. Units are the neurons between the two linear layers of a block,
    ranked within their stage, as those of Swin. A block that has lost all of them is its output bias alone.

    Does not support ConvNeXt V2, whose normalization relates all neurons of a block, nor gradient checkpointing.

    Args:
        img_size: Height and width of the images that ``cost`` speaks of; images of other sizes run as well.
        neurons: Number of hidden neurons of each block, for a network that has been cut; the blocks of all stages one
            after another. Defaults to all of them.
        **kwargs: Arguments of :class:`mmpretrain.models.ConvNeXt`.

    Raises:
        ValueError: If ``neurons`` does not give one count a block, or a count is out of range; if the variant is not
            supported.
    """

    def __init__(self, *, img_size: int | Sequence[int] = 224, neurons: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                stage[j] = ElasticConvNeXtBlock(block, f'stages.{i}.{j}', scope=f'stages.{i}')
        if neurons is not None:
            self._cut_to(neurons)

    def branches(self) -> Iterator[tuple[str, ElasticConvNeXtBlock]]:
        for name, block, _ in self._blocks():
            if isinstance(block, ElasticConvNeXtBlock):
                yield f'{name}.neuron', block

    def cost(self, kept: dict[str, int]) -> Cost:
        """As the contract says; a block without neurons is its bias alone."""
        convs = (next(part for part in layer if isinstance(part, nn.Conv2d)) for layer in self.downsample_layers)
        total = Cost(sum(prod(size) * conv.weight.numel() for size, conv in zip(self._map_sizes(), convs, strict=True)),
                     num_params(self))
        for name, block, map_size in self._blocks():
            if isinstance(block, ElasticConvNeXtBlock):
                total += Cost(0, -num_params(block)) + block.cost(kept[f'{name}.neuron'], prod(map_size))
        return total

    def cut(self, kept: dict[str, int]) -> None:
        """As the contract says; a block without neurons becomes its bias alone."""
        self.activate(kept)  # refuses a wrong count before anything is removed
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                count = kept.get(f'stages.{i}.{j}.neuron', 0)
                if isinstance(block, ElasticConvNeXtBlock) and count < block.count:
                    stage[j] = block.cut(count)

    def cut_arguments(self, kept: dict[str, int]) -> dict[str, list[int]]:
        return {'neurons': [kept.get(f'{name}.neuron', 0) for name, _, _ in self._blocks()]}

    def _cut_to(self, neurons: list[int]) -> None:
        names = [name for name, _, _ in self._blocks()]
        if len(neurons) != len(names):
            raise ValueError(f'neurons must give one count for each of the {len(names)} blocks, '
                             f'got {len(neurons)}: {neurons}')
        self.cut({f'{name}.neuron': count for name, count in zip(names, neurons, strict=True)})

    def steps(self) -> list[Step]:
        steps = []
        for i, stage in enumerate(self.stages):
            steps.append(Step(f'downsample_layers.{i}', self.downsample_layers[i]))
            for j, block in enumerate(stage):
                name, is_elastic = f'stages.{i}.{j}', isinstance(block, ElasticConvNeXtBlock)
                steps.append(ConvNeXtStep(name, block) if is_elastic else Step(name, block))
        return steps

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        norm = getattr(self, f'norm{len(self.stages) - 1}')
        if not self.gap_before_final_norm:
            return (norm(stream),)
        return (norm(stream.mean([-2, -1], keepdim=True)).flatten(1),)

    def tail(self) -> Tail:
        """The last stage, and what leads to it. The norm behind it reads the mean of its map where it does in the host,
        and belongs to the stage where it reads the map."""
        *_, before = (self.downsample_layers[0], *(stage[-1] for stage in self.stages[:-1]))
        parts = [*([self.downsample_layers[-1]] if len(self.stages) > 1 else []), *self.stages[-1]]
        parts += [] if self.gap_before_final_norm else [getattr(self, f'norm{len(self.stages) - 1}')]
        return Tail(before, parts[-1], nn.Sequential(*parts))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self.downsample_layers[0][0].in_channels, *self.img_size)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, C, H, W), C of their stage, are the hidden states: the stem, every block."""
        return [self.downsample_layers[0], *(block for _, block, _ in self._blocks())]

    def _blocks(self) -> Iterator[tuple[str, nn.Module, tuple[int, int]]]:
        """Name, block and size of its map, in network order."""
        for i, (stage, map_size) in enumerate(zip(self.stages, self._map_sizes(), strict=True)):
            for j, block in enumerate(stage):
                yield f'stages.{i}.{j}', block, map_size

    def _map_sizes(self) -> list[tuple[int, int]]:
        """Size of the map that the blocks of each stage run on."""
        sizes = [self.img_size]
        for layer in self.downsample_layers:
            stride = next(part.stride[0] for part in layer if isinstance(part, nn.Conv2d))  # as large as its kernel
            sizes.append(tuple(side // stride for side in sizes[-1]))
        return sizes[1:]
