"""Wide residual network for images of 32 x 32 pixels, plain and elastic."""

from collections.abc import Iterator, Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmamd.backbones.conv_step import ConvStep, NormStep
from mmamd.backbones.elastic_conv import ElasticConv2d
from mmamd.backbones.elastic_convnet import IMAGE, ElasticConvNet, Wire
from mmamd.backbones.tail import Tail
from mmamd.pruning.refit import Step
from mmamd.registry import MODELS

STEM = 'stem'


class PreActivationBlock(BaseModule):
    """Two 3 x 3 convolutions, each behind a norm and a ReLU, added to the input.

    A block that changes the width projects the normalised and rectified input for its shortcut.

    Args:
        in_channels, out_channels: Widths before and behind it.
        stride: Stride of the first convolution and of the projection.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        rectified = self.relu(self.norm1(x_NCHW))
        branch = self.conv2(self.relu(self.norm2(self.conv1(rectified))))
        return branch + (x_NCHW if self.shortcut is None else self.shortcut(rectified))


@MODELS.register_module()
class WideResNet(BaseBackbone):
    """WRN-depth-k (Zagoruyko & Komodakis 2016): three stages of pre-activation blocks, 16k, 32k and 64k wide.

    With 100 classes WRN-16-2 has 0.70 M and WRN-40-2 has 2.26 M parameters. Returns the last map (N, 64k, H/4, W/4),
    normalised and rectified, as a tuple of one.

    Args:
        depth: 6n + 4 layers: n blocks a stage.
        widen_factor: k.
        in_channels: Channels of the images.
        init_cfg: How weights are drawn. Defaults to He's initialisation of convolutions, and norms of scale 1.

    Raises:
        ValueError: If there is no such depth or width.
    """

    def __init__(self, depth: int, widen_factor: int = 1, in_channels: int = 3,
                 init_cfg: list[dict] | dict | None = None) -> None:
        if depth < 10 or (depth - 4) % 6 or widen_factor < 1:
            raise ValueError(f'WideResNet needs a depth of 6n + 4 (10, 16, 22, 28, 34, 40, ...) and a widen_factor of '
                             f'at least 1, got {depth} and {widen_factor}')
        super().__init__(init_cfg or [dict(type='Kaiming', layer=['Conv2d']),
                                      dict(type='Constant', val=1, layer=['_BatchNorm'])])
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.stages = nn.ModuleList()
        before = 16
        for stride, width in ((1, 16 * widen_factor), (2, 32 * widen_factor), (2, 64 * widen_factor)):
            blocks = [PreActivationBlock(before, width, stride)]
            blocks += [PreActivationBlock(width, width) for _ in range((depth - 4) // 6 - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width
        self.norm = nn.BatchNorm2d(before)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> tuple[Tensor]:
        x_NCHW = self.conv1(x_NCHW)
        for stage in self.stages:
            x_NCHW = stage(x_NCHW)
        return (self.relu(self.norm(x_NCHW)),)


@MODELS.register_module()
class MaskedWideResNet(ElasticConvNet, WideResNet):
    """A :class:`WideResNet` whose convolution filters can be scored, ranked, sliced and cut.

    Units are the filters of the stem, the inner filters of every block, and the channels that the blocks of a stage
    have in common, which the projection shortcut ranks. Those of the last stage, which the head reads, are not pruned.

    Args:
        depth, widen_factor: As there; so are further arguments.
        img_size: Height and width of the images that ``cost`` speaks of.
        filters: Number of filters of each unit group, for a network that has been cut. Defaults to all of them.

    Raises:
        ValueError: If ``filters`` does not give one count a group, or a count is out of range.
    """

    def __init__(self, depth: int, widen_factor: int = 1, *, img_size: int | Sequence[int] = 32,
                 filters: list[int] | None = None, **kwargs) -> None:
        super().__init__(depth, widen_factor, **kwargs)
        self.make_elastic(img_size, filters)

    def wires(self) -> Iterator[Wire]:
        yield Wire('conv1', IMAGE, STEM)
        for at, block, before, after in self._blocks():
            inner = f'{at}.conv1'
            yield Wire(f'{at}.norm1', before, before)
            if block.shortcut is not None:
                yield Wire(f'{at}.shortcut', before, after)
            yield Wire(f'{at}.conv1', before, inner)
            yield Wire(f'{at}.norm2', inner, inner)
            yield Wire(f'{at}.conv2', inner, after)
        yield Wire('norm', after, after)

    def residuals(self) -> Iterator[tuple[str, ...]]:
        for at, block, *_ in self._blocks():
            # A projection reads behind the first norm, which then is not the branch's own.
            own = ('conv1', 'norm2', 'conv2') if block.shortcut is not None else ('norm1', 'conv1', 'norm2', 'conv2')
            yield tuple(f'{at}.{layer}' for layer in own)

    def steps(self) -> list[Step]:
        blocks = [preactivation_step(at, block) for at, block, *_ in self._blocks()]
        return [Step('conv1', self.conv1), *blocks, NormStep('norm', lambda x: F.relu(self.norm(x)), [self.norm])]

    def tail(self) -> Tail:
        """The last stage, and the norm and the activation behind it."""
        return Tail(self.stages[-2], self.relu, nn.Sequential(self.stages[-1], self.norm, self.relu))

    def outputs(self) -> set[str]:
        *_, (_, _, _, last) = self._blocks()
        return {last}

    def _blocks(self) -> Iterator[tuple[str, PreActivationBlock, str, str]]:
        """Name, block, and the channels before and behind it, in network order."""
        before = STEM
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                after = before if block.shortcut is None else f'stages.{i}'
                yield f'stages.{i}.{j}', block, before, after
                before = after

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, C, H, W), as wide as the candidate, are the hidden states: stem, every block."""
        return [self.conv1, *(block for stage in self.stages for block in stage)]


def preactivation_step(name: str, block: PreActivationBlock) -> Step:
    """A block as a step; one that has lost its branch is a fixed one."""
    if not isinstance(block.conv2, ElasticConv2d):
        return Step(name, block)

    def rectified(x: Tensor) -> Tensor:
        return F.relu(block.norm1(x))

    def read(x: Tensor) -> Tensor:
        return F.relu(block.norm2(block.conv1(rectified(x))))

    def shortcut(x: Tensor) -> Tensor:
        return x if block.shortcut is None else block.shortcut(rectified(x))

    return ConvStep(name, block.conv2, None, read=read, shortcut=shortcut, behind=lambda x: x,
                    norms=[block.norm1, block.norm2])
