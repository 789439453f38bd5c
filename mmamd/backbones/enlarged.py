"""A backbone that sees its images enlarged: a transformer whose patches are made for larger ones than there are."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS as HOSTS
from torch import Tensor

from mmamd.registry import MODELS


@MODELS.register_module()
class Enlarged(BaseModule):
    """Any backbone, behind a bilinear enlargement of the images.

    The enlargement is part of the network: its teacher sees the images as they are, and whoever uses the network, as a
    file of any form too, gives it small ones. It has no weights; those of the backbone are named ``backbone.*``.

    Args:
        backbone: Config of the backbone that sees the large images.
        size: Height and width of those, in px; one number for a square.
        init_cfg: As of any module; the backbone's own config may have one too.

    Raises:
        ValueError: If there is no such size, or the config names no backbone.
    """

    def __init__(self, backbone: dict, size: int | Sequence[int], init_cfg: dict | list[dict] | None = None) -> None:
        sides = (size, size) if type(size) is int else size
        if not (isinstance(sides, (list, tuple)) and len(sides) == 2
                and all(type(side) is int and side > 0 for side in sides)):
            raise ValueError(f'Enlarged needs a size of one or two positive whole numbers, height and width in px, got '
                             f'{size!r}; say e.g. size=64')
        if not (isinstance(backbone, dict) and 'type' in backbone):
            raise ValueError(f'Enlarged needs the config of a backbone, with its type, got {backbone!r}; say e.g. '
                             "backbone=dict(type='T2T_ViT', img_size=64)")
        super().__init__(init_cfg)
        self.size = tuple(sides)
        self.backbone = HOSTS.build(backbone)  # which finds ours too, as 'mmamd.X'

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """What the backbone returns of the large images.

        Raises:
            ValueError: If a side of the images is larger than that; pixels would be skipped.
        """
        height, width = images_NCHW.shape[2:]
        if height > self.size[0] or width > self.size[1]:
            raise ValueError(f'Enlarged makes images of {self.size[0]} x {self.size[1]} px out of smaller ones, got '
                             f'{int(height)} x {int(width)}; set a larger size, or use the backbone without it')
        return self.backbone(F.interpolate(images_NCHW, self.size, mode='bilinear', align_corners=False))
