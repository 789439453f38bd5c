"""VGG for images of 32 x 32 pixels, plain and elastic."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmamd.backbones.conv_step import ConvStep
from mmamd.backbones.elastic_convnet import IMAGE, ElasticConvNet, Wire
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS

LAYERS = {8: (1, 1, 1, 1, 1), 13: (2, 2, 2, 2, 2)}  # depth -> convolutions a stage
NUM_POOLED = 3  # stages that end in a pooling: at 32 x 32 pixels the last two run on maps of 4 x 4


class VGGLayer(BaseModule):
    """3 x 3 convolution, batch norm and ReLU.

    The convolution has a bias, which the norm takes out again; it is there because the networks of CRD, whose
    parameters AMD's Table 7 counts, have one.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x_NCHW)))


@MODELS.register_module()
class CifarVGG(BaseBackbone):
    """VGG (Simonyan & Zisserman 2015) with batch norms and without hidden linear layers, as in CRD (Tian et al. 2020).

    With a linear head of 100 classes VGG-8 has 3.97 M and VGG-13 has 9.46 M parameters. Returns the last map
    (N, 512, H/8, W/8) as a tuple of one.

    Args:
        depth: 8 or 13.
        widths: Channels of the five stages.
        in_channels: Channels of the images.
        init_cfg: How weights are drawn. Defaults to He's initialisation of convolutions, and norms of scale 1.

    Raises:
        ValueError: If there is no such depth, or not five widths.
    """

    def __init__(self, depth: int, widths: Sequence[int] = (64, 128, 256, 512, 512), in_channels: int = 3,
                 init_cfg: list[dict] | dict | None = None) -> None:
        if depth not in LAYERS or len(widths) != len(LAYERS[8]):
            raise ValueError(f'CifarVGG has the depths {list(LAYERS)} and five widths, got {depth} and {widths}')
        super().__init__(init_cfg or [dict(type='Kaiming', layer=['Conv2d']),
                                      dict(type='Constant', val=1, layer=['_BatchNorm'])])
        self.stages = nn.ModuleList()
        before = in_channels
        for num, width in zip(LAYERS[depth], widths, strict=True):
            widths = [before, *num * (width,)]
            self.stages.append(nn.Sequential(*(VGGLayer(a, b) for a, b in pairwise(widths))))
            before = width
        self.pool = nn.MaxPool2d(2)

    def forward(self, x_NCHW: Tensor) -> tuple[Tensor]:
        for i, stage in enumerate(self.stages):
            x_NCHW = stage(x_NCHW)
            if i < NUM_POOLED:
                x_NCHW = self.pool(x_NCHW)
        return (x_NCHW,)


@MODELS.register_module()
class MaskedCifarVGG(ElasticConvNet, CifarVGG):
    """A :class:`CifarVGG` whose convolution filters can be scored, ranked, sliced and cut.

    There is no shortcut past a layer, so that each keeps one filter at least. The 512 last channels, which the head
    reads, are not pruned.

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

    def wires(self) -> Iterator[Wire]:
        before = IMAGE
        for name in self._layer_names():
            yield Wire(f'{name}.conv', before, name)
            yield Wire(f'{name}.norm', name, name)
            before = name

    def steps(self) -> list[Step]:
        steps = []
        for i, stage in enumerate(self.stages):
            for j, layer in enumerate(stage):
                is_pooled = j == len(stage) - 1 and i < NUM_POOLED
                behind = (lambda x: self.pool(F.relu(x))) if is_pooled else F.relu
                steps.append(ConvStep(f'stages.{i}.{j}', layer.conv, layer.norm, read=lambda x: x, behind=behind))
        return steps

    def tail(self) -> Tail:
        """The last stage, behind which nothing is pooled, nor before it."""
        return Tail(self.stages[-2], self.stages[-1], self.stages[-1])

    def outputs(self) -> set[str]:
        return {self._layer_names()[-1]}

    def _layer_names(self) -> list[str]:
        return [f'stages.{i}.{j}' for i, stage in enumerate(self.stages) for j in range(len(stage))]

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, C, H, W), as wide as the candidate, are the hidden states: every layer."""
        return [layer for stage in self.stages for layer in stage]
