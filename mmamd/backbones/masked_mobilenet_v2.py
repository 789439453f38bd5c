"""MMPretrain's MobileNetV2, able to run as any candidate."""

from collections.abc import Iterator, Sequence

import torch.nn as nn
from mmpretrain.models.backbones import MobileNetV2
from torch import Tensor

from mmamd.backbones.conv_step import ConvStep
from mmamd.backbones.elastic_conv import ElasticConv2d
from mmamd.backbones.elastic_convnet import IMAGE, ElasticConvNet, Wire
from mmamd.backbones.masked_resnet import conv_and_norm
from mmamd.backbones.recalibration import batch_norms
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS

STEM = 'conv1'


@MODELS.register_module()
class MaskedMobileNetV2(ElasticConvNet, MobileNetV2):
    """A MobileNetV2 whose expanded channels can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function.

    Units are the channels between the two 1 x 1 convolutions of a block. Each takes its kernel of the depthwise
    convolution along. The widths of stem, blocks and last convolution stay. A block with a shortcut may lose all units.

    Does not support norms other than BatchNorm, nor gradient checkpointing.

    Args:
        img_size: Height and width of the images that ``cost`` speaks of; images of other sizes run as well.
        filters: Number of units of each group, for a network that has been cut. Defaults to all of them.
        **kwargs: Arguments of :class:`mmpretrain.models.MobileNetV2`.

    Raises:
        ValueError: If ``filters`` does not give one count a group, or a count is out of range; if the variant is not
            supported.
    """

    def __init__(self, *, img_size: int | Sequence[int] = 224, filters: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.with_cp:
            raise ValueError('MaskedMobileNetV2 does not support with_cp=True, since scoring takes the gradients of '
                             'single gates; set with_cp=False')
        self.make_elastic(img_size, filters)

    def wires(self) -> Iterator[Wire]:
        yield from self._wires(STEM, IMAGE, STEM)
        before = STEM
        for name, block in self._blocks():
            *expansion, depthwise, projection = (f'{name}.conv.{i}' for i in range(len(block.conv)))
            inner = before
            for layer in expansion:
                inner = name
                yield from self._wires(layer, before, inner)
            yield from self._wires(depthwise, inner, inner)
            before = before if block.use_res_connect else f'{name}.conv'
            yield from self._wires(projection, inner, before)
        yield from self._wires('conv2', before, 'conv2')

    def _wires(self, layer: str, reads: str, writes: str) -> tuple[Wire, Wire]:
        return conv_and_norm(f'{layer}.conv', f'{layer}.{self.get_submodule(layer).norm_name}', reads, writes)

    def residuals(self) -> Iterator[tuple[str, ...]]:
        for name, block in self._blocks():
            if block.use_res_connect and is_expanded(block):
                yield tuple(f'{name}.conv.{i}.{layer}' for i, part in enumerate(block.conv)
                            for layer in ('conv', part.norm_name))

    def outputs(self) -> set[str]:
        return {wire.writes for wire in self.wires()} - {name for name, block in self._blocks() if is_expanded(block)}

    def steps(self) -> list[Step]:
        # The stem reads images, which are not pruned, so there is nothing to make good.
        steps = [Step(STEM, self.conv1), *(block_step(name, block) for name, block in self._blocks())]
        last = self.conv2
        return [*steps, ConvStep('conv2', last.conv, last.norm, read=lambda x: x,
                                 behind=lambda x: last.activate(x.clone()))]

    def tail(self) -> Tail:
        """The last stage and the convolution behind it."""
        *_, before, last, _ = (getattr(self, name) for name in self.layers)
        return Tail(before[-1], self.conv2, nn.Sequential(last, self.conv2))

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, C, H, W) are the hidden states: the stem, every block, the last convolution."""
        return [self.conv1, *(block for _, block in self._blocks()), self.conv2]

    def _blocks(self) -> Iterator[tuple[str, nn.Module]]:
        for name in self.layers[:-1]:
            for i, block in enumerate(getattr(self, name)):
                yield f'{name}.{i}', block


def is_expanded(block: nn.Module) -> bool:
    """Whether a block has channels of its own between those that it reads and those that it writes."""
    return len(block.conv) == 3


def block_step(name: str, block: nn.Module) -> Step:
    """A block as a step; one that has lost its branch is a fixed one."""
    *inner, projection = block.conv
    if not isinstance(projection.conv, ElasticConv2d):
        return Step(name, block)

    def read(x: Tensor) -> Tensor:
        for layer in inner:
            x = layer(x)
        return x

    return ConvStep(name, projection.conv, projection.norm, read=read, norms=batch_norms(nn.Sequential(*inner)),
                    shortcut=nn.Identity() if block.use_res_connect else None, behind=nn.Identity())
