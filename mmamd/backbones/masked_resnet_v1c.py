"""MMSegmentation's ResNetV1c, able to run as any candidate."""

from collections.abc import Iterator, Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmseg.models.backbones import ResNetV1c
from torch import Tensor

from mmamd.backbones.conv_step import ConvStep
from mmamd.backbones.elastic_convnet import IMAGE, Wire
from mmamd.backbones.masked_resnet import STEM, ElasticResNet, conv_and_norm
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS

STEM_CONVS = (0, 3, 6)  # in the host's stem, each before its norm and its ReLU


@MODELS.register_module()
class MaskedResNetV1c(ElasticResNet, ResNetV1c):
    """A ResNetV1c, with dilated stages or without, whose convolution filters can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are those of MMSegmentation, so any of its checkpoints of the network loads, and
    with all units active it computes the host's function. MMPretrain's ResNetV1c names its stem otherwise: see
    :class:`mmamd.backbones.MaskedResNet`.

    Units are the filters of the stem, the inner filters of every block, and the channels that the blocks of a stage
    have in common. Those of a stage in ``out_indices`` are not pruned, whether or not a head reads it: name the stages
    that one reads.

    Does not support deformable convolutions, plugins, norms other than BatchNorm, nor gradient checkpointing.

    Args:
        img_size: Height and width of the images that ``cost`` speaks of; images of other sizes run as well.
        filters: Number of filters of each unit group, for a network that has been cut. Defaults to all of them.
        **kwargs: Arguments of :class:`mmseg.models.ResNetV1c`.

    Raises:
        ValueError: If ``filters`` does not give one count a group, or a count is out of range; if a layer cannot be
            pruned by filters, or the variant is not supported.
    """

    def __init__(self, *, img_size: int | Sequence[int] = 512, filters: list[int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.with_cp:
            raise ValueError('MaskedResNetV1c does not support with_cp=True, since scoring takes the gradients of '
                             'single gates; set with_cp=False')
        if self.plugins is not None:
            raise ValueError('MaskedResNetV1c does not support plugins, whose channels are those of a block; leave '
                             'them out')
        self.make_elastic(img_size, filters)

    def _stem_wires(self) -> Iterator[Wire]:
        before = IMAGE
        for i in STEM_CONVS:
            after = STEM if i == STEM_CONVS[-1] else f'{STEM}.{i}'
            yield from conv_and_norm(f'stem.{i}', f'stem.{i + 1}', before, after)
            before = after

    def _stem_steps(self) -> Iterator[Step]:
        for i in STEM_CONVS:
            behind = (lambda x: self.maxpool(F.relu(x))) if i == STEM_CONVS[-1] else F.relu
            yield ConvStep(f'stem.{i}', self.stem[i], self.stem[i + 1], read=lambda x: x, behind=behind)

    def _end_of_stem(self) -> nn.Module:
        return self.maxpool

    def _pool(self, x: Tensor) -> Tensor:
        return self.maxpool(x)
