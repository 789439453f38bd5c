"""MMPretrain's light networks for images of 32 x 32 pixels, to be students.

They differ from the host's in what halves the images before the first block alone, as those of CRD (Tian et al. 2020),
in whose pairs they are. None of them is elastic.
"""

from typing import ClassVar

import torch.nn as nn
from mmcv.cnn import ConvModule
from mmpretrain.models.backbones import MobileNetV2, ShuffleNetV1, ShuffleNetV2

from mmamd.registry import MODELS


@MODELS.register_module()
class CifarMobileNetV2(MobileNetV2):
    """MobileNetV2 whose second stage keeps the size: its last maps are of 2 x 2. CRD's has ``widen_factor=0.5``."""

    arch_settings: ClassVar[list] = [[expansion, channels, blocks, 1 if channels == 24 else stride]
                                     for expansion, channels, blocks, stride in MobileNetV2.arch_settings]


class _Unhalved:
    """A network whose stem is a 1 x 1 convolution: its last maps are of 4 x 4."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.conv1 = ConvModule(3, self.conv1.out_channels, 1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.maxpool = nn.Identity()


@MODELS.register_module()
class CifarShuffleNetV1(_Unhalved, ShuffleNetV1):
    """ShuffleNetV1 with a stem that halves nothing."""


@MODELS.register_module()
class CifarShuffleNetV2(_Unhalved, ShuffleNetV2):
    """ShuffleNetV2 with a stem that halves nothing."""
