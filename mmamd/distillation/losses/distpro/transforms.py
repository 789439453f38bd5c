"""What leads from a level of the student to a level of the teacher. It is trained and stays behind on export.

Shapes: N samples, C channels, H x W positions, M channels within.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_CHANNELS = 512  # within, as in the authors' code
DROPOUT = 0.1  # between linear layers; the paper names no number


class CnnTransform(nn.Module):
    """Three 3 x 3 convolutions with batch norms; positions are weighted after the first, maps resized after the second.

    The ``complex`` connector of the authors' code. M is the smaller number of channels, at most 512.

    Args:
        own, width: Channels of the student's maps and of the teacher's. A narrower candidate's are the leading ones.
    """

    has_batch_norm = True

    def __init__(self, own: int, width: int) -> None:
        super().__init__()
        inner = min(MOST_CHANNELS, own, width)
        self.enter, self.enter_norm = _conv(own, inner, 3), nn.BatchNorm2d(inner)
        self.attention = _conv(inner, 1, 1)
        self.middle, self.middle_norm = _conv(inner, inner, 3), nn.BatchNorm2d(inner)
        self.leave, self.leave_norm = _conv(inner, width, 3), nn.BatchNorm2d(width)

    def forward(self, maps_NCHW: Tensor, size: tuple[int, int], generator: torch.Generator | None = None) -> Tensor:
        """Maps of the teacher's channels and of the size (H, W) that is asked for."""
        weight = self.enter.weight[:, :maps_NCHW.shape[1]]
        x_NMHW = self.enter_norm(F.conv2d(maps_NCHW, weight, padding=1)).relu()
        x_NMHW = x_NMHW * self.attention(x_NMHW)
        x_NMHW = self.middle_norm(self.middle(x_NMHW)).relu()
        return self.leave_norm(self.leave(F.interpolate(x_NMHW, size, mode='nearest')))

    def macs(self, own: tuple[int, int], size: tuple[int, int]) -> int:
        """Of one image, forwards, from maps of the student's size (H, W) to the teacher's."""
        before = sum(conv.weight.numel() for conv in (self.enter, self.attention, self.middle))
        return before * math.prod(own) + self.leave.weight.numel() * math.prod(size)


class TransformerTransform(nn.Module):
    """Two blocks of a linear layer, GELU and dropout, and a linear layer to the teacher's channels, each token alone.

    DistPro, appendix A and Fig. 1, of whose drawing the blocks alone are said. Where the grids of tokens differ, they
    are resized bilinearly at the end. Arguments as of :class:`CnnTransform`.
    """

    has_batch_norm = False

    def __init__(self, own: int, width: int) -> None:
        super().__init__()
        inner = min(MOST_CHANNELS, own, width)
        self.enter, self.middle, self.leave = nn.Linear(own, inner), nn.Linear(inner, inner), nn.Linear(inner, width)

    def forward(self, maps_NCHW: Tensor, size: tuple[int, int], generator: torch.Generator | None = None) -> Tensor:
        """As of :class:`CnnTransform`; dropout draws from the generator, and there is none without."""
        x_NHWM = F.linear(maps_NCHW.movedim(1, -1), self.enter.weight[:, :maps_NCHW.shape[1]], self.enter.bias)
        x_NHWM = _dropped(F.gelu(x_NHWM), generator)
        x_NHWM = _dropped(F.gelu(self.middle(x_NHWM)), generator)
        maps = self.leave(x_NHWM).movedim(-1, 1)
        return maps if maps.shape[2:] == size else F.interpolate(maps, size, mode='bilinear', align_corners=False)

    def macs(self, own: tuple[int, int], size: tuple[int, int]) -> int:
        """As of :class:`CnnTransform`."""
        return sum(each.weight.numel() for each in (self.enter, self.middle, self.leave)) * math.prod(own)


KINDS = {'cnn': CnnTransform, 'transformer': TransformerTransform}


def untouched(module: nn.Module) -> Tensor:
    """0, of which every parameter is a part, with a gradient of 0: of a module that is not run.

    Each takes part at width zero, so that what is not finite stays its own. Processes of a DistributedDataParallel
    wait for the gradient of every parameter.
    """
    return sum(parameter.flatten()[:0].sum() for parameter in module.parameters())


def _conv(channels: int, out: int, side: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, side, padding=side // 2, bias=False)
    nn.init.normal_(conv.weight, std=math.sqrt(2 / (side**2 * out)))  # as in the authors' code
    return conv


def _dropped(x: Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return x
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= DROPOUT
    return x * kept / (1 - DROPOUT)
