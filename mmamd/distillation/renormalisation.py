"""Preprocessed images as the preprocessor of another network would have made them.

Shapes: N samples, C channels.
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

# What preprocessors of the host call the exchange of the first channel and the last.
EXCHANGES = ('to_rgb', 'channel_conversion', '_channel_conversion')


class Renormalisation(nn.Module):
    """From images that ``own`` has normalised to those that ``others`` would have made of the same ones.

    Of 3 channels their order too, where one of the two has exchanged it. Images that have been mixed stay mixed alike.

    Args:
        own, others: Data preprocessors; one without ``mean`` and ``std`` leaves images as they are.

    Raises:
        ValueError: If they have different numbers of channels.
    """

    def __init__(self, own: nn.Module, others: nn.Module) -> None:
        super().__init__()
        (own_mean_C, own_std_C, own_order), (mean_C, std_C, order) = map(normalisation, (own, others))
        if len({1, len(own_mean_C), len(mean_C)}) > 2:
            raise ValueError(f'the preprocessor of the student normalises {len(own_mean_C)} channels, that of the '
                             f'teacher {len(mean_C)}; give both a mean and a std of the channels of the images')
        self.is_exchanged = own_order != order
        if self.is_exchanged:
            own_mean_C, own_std_C = own_mean_C.flip(0), own_std_C.flip(0)
        self.register_buffer('scale_C11', (own_std_C / std_C).float()[:, None, None], persistent=False)
        self.register_buffer('shift_C11', ((own_mean_C - mean_C) / std_C).float()[:, None, None], persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        if self.is_exchanged and images_NCHW.shape[1] == 3:
            images_NCHW = images_NCHW.flip(1)
        return images_NCHW * self.scale_C11 + self.shift_C11


def renormalisations(student: nn.Module, teachers: Sequence[nn.Module]) -> nn.ModuleList:
    """For each teacher, what makes its images of those of the student."""
    return nn.ModuleList(renormalisation(student.data_preprocessor, each.data_preprocessor) for each in teachers)


def renormalisation(own: nn.Module, others: nn.Module) -> nn.Module:
    """A :class:`Renormalisation`, or an identity where both normalise alike."""
    (own_mean_C, own_std_C, own_order), (mean_C, std_C, order) = map(normalisation, (own, others))
    if own_order == order and torch.equal(own_mean_C, mean_C) and torch.equal(own_std_C, std_C):
        return nn.Identity()
    return Renormalisation(own, others)


def normalisation(preprocessor: nn.Module) -> tuple[Tensor, Tensor, bool]:
    """Mean and deviation of a data preprocessor, each (C,) or (1,), and whether it exchanges the channels' order."""
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    mean_C = torch.zeros(1) if mean is None else mean.cpu().flatten()
    std_C = torch.ones(1) if std is None else std.cpu().flatten()
    return mean_C.double(), std_C.double(), any(bool(getattr(preprocessor, name, False)) for name in EXCHANGES)
