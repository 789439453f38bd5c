"""ResNet for images of 32 x 32 pixels, plain and elastic."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn as nn
from mmpretrain.models.backbones import ResNet_CIFAR
from mmpretrain.models.backbones.resnet import BasicBlock

from mmamd.backbones.masked_resnet import ElasticResNet
from mmamd.registry import MODELS


@MODELS.register_module()
class CifarResNet(ResNet_CIFAR):
    """The ResNet of 6n + 2 layers (He et al. 2016, section 4.2): three stages of n basic blocks, 16, 32 and 64 wide.

    What CRD calls ResNet-32x4 and ResNet-8x4 has ``stem_channels=32, base_channels=64``: stages of 64, 128 and 256.

    Where a stage changes the width, its shortcut is a projection, as in CRD (Tian et al. 2020), whose CIFAR-100
    figures AMD's Table 7 compares with. With 100 classes depth 20 has 0.28 M and depth 56 has 0.86 M parameters.

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110.
        stem_channels, base_channels: Channels of the stem and of the first stage.
        **kwargs: Arguments of :class:`mmpretrain.models.ResNet_CIFAR` but for the numbers that are fixed here.
    """

    arch_settings: ClassVar[dict] = {
        depth: (BasicBlock, 3 * ((depth - 2) // 6,)) for depth in (8, 14, 20, 32, 44, 56, 110)}

    def __init__(self, depth: int, *, stem_channels: int = 16, base_channels: int = 16,
                 zero_init_residual: bool = False, **kwargs) -> None:
        if depth not in self.arch_settings:
            raise ValueError(f'CifarResNet has the depths {list(self.arch_settings)}, got {depth}')
        super().__init__(depth, stem_channels=stem_channels, base_channels=base_channels, num_stages=3,
                         strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,),
                         zero_init_residual=zero_init_residual, **kwargs)


@MODELS.register_module()
class MaskedCifarResNet(ElasticResNet, CifarResNet):
    """A :class:`CifarResNet` whose convolution filters can be scored, ranked, sliced and cut.

    Its last channels, which the head reads, are not pruned.

    Args:
        depth: As there; so are further arguments.
        img_size: Height and width of the images that ``cost`` speaks of.
        filters: Number of filters of each unit group, for a network that has been cut. Defaults to all of them.

    Raises:
        ValueError: If ``filters`` does not give one count a group, or a count is out of range.
    """

    def __init__(self, depth: int, *, img_size: int | Sequence[int] = 32, filters: list[int] | None = None,
                 **kwargs) -> None:
        super().__init__(depth, **kwargs)
        self.make_elastic(img_size, filters)

    def _end_of_stem(self) -> nn.Module:
        return self.relu
