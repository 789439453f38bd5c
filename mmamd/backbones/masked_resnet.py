"""MMPretrain's ResNet, able to run as any candidate."""

from collections.abc import Iterator, Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.backbones import ResNet, ResNet_CIFAR
from torch import Tensor

from mmamd.backbones.conv_step import ConvStep
from mmamd.backbones.elastic_conv import ElasticConv2d
from mmamd.backbones.elastic_convnet import IMAGE, ElasticConvNet, Wire
from mmamd.backbones.recalibration import batch_norms
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS

STEM = 'stem'


class ElasticResNet(ElasticConvNet):
    """How the layers of everything that is laid out as MMPretrain's ResNet are joined.

    The outputs of a stage's blocks are added to its shortcut, so they have the same channels: those of the projection
    shortcut, whose filters rank them. A stage without a projection goes on with the channels before it; the first one
    with those of the stem.
    """

    def wires(self) -> Iterator[Wire]:
        yield from self._stem_wires()
        before = STEM
        for name, after in zip(self.res_layers, self._stage_channels(), strict=True):
            for i, block in enumerate(getattr(self, name)):
                at = f'{name}.{i}'
                if block.downsample is not None:
                    conv = len(block.downsample) - 2  # behind a pooling, if there is one
                    yield from conv_and_norm(f'{at}.downsample.{conv}', f'{at}.downsample.{conv + 1}', before, after)
                reads, (*inner, last) = before, block_layers(block)
                for conv, norm in inner:
                    yield from conv_and_norm(f'{at}.{conv}', f'{at}.{norm}', reads, f'{at}.{conv}')
                    reads = f'{at}.{conv}'
                yield from conv_and_norm(*(f'{at}.{layer}' for layer in last), reads, after)
                before = after

    def _stem_wires(self) -> Iterator[Wire]:
        if not self.deep_stem:
            yield from conv_and_norm('conv1', self.norm1_name, IMAGE, STEM)
            return
        before = IMAGE
        for i, layer in enumerate(self.stem):
            after = STEM if i == len(self.stem) - 1 else f'{STEM}.{i}'
            yield from conv_and_norm(f'stem.{i}.conv', f'stem.{i}.{layer.norm_name}', before, after)
            before = after

    def residuals(self) -> Iterator[tuple[str, ...]]:
        for name in self.res_layers:
            for i, block in enumerate(getattr(self, name)):
                yield tuple(f'{name}.{i}.{layer}' for pair in block_layers(block) for layer in pair)

    def outputs(self) -> set[str]:
        return {channels for i, channels in enumerate(self._stage_channels()) if i in self.out_indices}

    def steps(self) -> list[Step]:
        steps = list(self._stem_steps())
        for name in self.res_layers:
            steps += [block_step(f'{name}.{i}', block) for i, block in enumerate(getattr(self, name))]
        return steps

    def _stem_steps(self) -> Iterator[Step]:
        if not self.deep_stem:  # reads images, which are not pruned, so there is nothing to make good
            yield Step('stem', lambda x: self._pool(F.relu(self.norm1(self.conv1(x)))))
            return
        last = len(self.stem) - 1
        for i, layer in enumerate(self.stem):
            behind = F.relu if i < last else lambda x: self._pool(F.relu(x))
            yield ConvStep(f'stem.{i}', layer.conv, layer.norm, read=lambda x: x, behind=behind)

    def _pool(self, x: Tensor) -> Tensor:
        """What the stem does behind its last activation."""
        return x

    def _stage_channels(self) -> list[str]:
        """Channels that each stage writes."""
        found = [STEM]
        for name in self.res_layers:
            found.append(found[-1] if getattr(self, name)[0].downsample is None else name)
        return found[1:]

    def tail(self) -> Tail:
        """The last stage."""
        last = getattr(self, self.res_layers[-1])
        return Tail(self.hidden_state_modules[-1 - len(last)], last, last)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, C, H, W), as wide as the candidate, are the hidden states: stem, every block."""
        return [self._end_of_stem(), *(block for name in self.res_layers for block in getattr(self, name))]

    def _end_of_stem(self) -> nn.Module:
        raise NotImplementedError

    def _make_elastic_without_checkpointing(self, img_size: int | Sequence[int], filters: list[int] | None) -> None:
        if self.with_cp:
            raise ValueError(f'{type(self).__name__} does not support with_cp=True, since scoring takes the gradients '
                             'of single gates; set with_cp=False')
        self.make_elastic(img_size, filters)


@MODELS.register_module()
class MaskedResNet(ElasticResNet, ResNet):
    """A ResNet whose convolution filters can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function. ResNetV1c and V1d are its ``deep_stem`` and ``avg_down``.

    Units are the filters of the stem, the inner filters of every block, and the channels that the blocks of a stage
    have in common. Those of a stage in ``out_indices``, which the head reads, are not pruned.

    Does not support grouped or deformable convolutions, norms other than BatchNorm, nor gradient checkpointing.

    Args:
        img_size: Height and width of the images that ``cost`` speaks of; images of other sizes run as well.
        filters: Number of filters of each unit group, for a network that has been cut. Defaults to all of them.
        **kwargs: Arguments of :class:`mmpretrain.models.ResNet`.

    Raises:
        ValueError: If ``filters`` does not give one count a group, or a count is out of range; if a layer cannot be
            pruned by filters, or the variant is not supported.
    """

    def __init__(self, *, img_size: int | Sequence[int] = 224, filters: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self._make_elastic_without_checkpointing(img_size, filters)

    def _end_of_stem(self) -> nn.Module:
        return self.maxpool

    def _pool(self, x: Tensor) -> Tensor:
        return self.maxpool(x)


@MODELS.register_module()
class MaskedResNetCIFAR(ElasticResNet, ResNet_CIFAR):
    """MMPretrain's ResNet for images of 32 x 32 pixels, of ImageNet's widths, its stem small and without pooling.

    Args:
        img_size, filters: As :class:`MaskedResNet` has them.
        **kwargs: Arguments of :class:`mmpretrain.models.ResNet_CIFAR`.

    Raises:
        ValueError: As there.
    """

    def __init__(self, *, img_size: int | Sequence[int] = 32, filters: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self._make_elastic_without_checkpointing(img_size, filters)

    def _end_of_stem(self) -> nn.Module:
        return self.relu


def block_step(name: str, block: nn.Module) -> Step:
    """A residual block as a step; one that has lost its branch is a fixed one."""
    *inner, (last_conv, last_norm) = [[getattr(block, layer) for layer in pair] for pair in block_layers(block)]
    if not isinstance(last_conv, ElasticConv2d):
        return Step(name, block)

    def read(x: Tensor) -> Tensor:
        for conv, norm in inner:
            x = F.relu(norm(conv(x)))
        return x

    shortcut = block.downsample or nn.Identity()
    norms = [*(norm for _, norm in inner), *batch_norms(shortcut)]
    return ConvStep(name, last_conv, last_norm, read=read, shortcut=shortcut, behind=F.relu, norms=norms)


def block_layers(block: nn.Module) -> list[tuple[str, str]]:
    """Names of the convolutions and norms of a block's branch, in order."""
    numbers = (i for i in (1, 2, 3) if hasattr(block, f'conv{i}'))
    return [(f'conv{i}', getattr(block, f'norm{i}_name')) for i in numbers]


def conv_and_norm(conv: str, norm: str, reads: str, writes: str) -> tuple[Wire, Wire]:
    """A convolution and the norm of its output."""
    return Wire(conv, reads, writes), Wire(norm, writes, writes)
