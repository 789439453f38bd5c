"""The last stage of a backbone as a function of its own, for what runs through it something else than its images."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn as nn
from torch import Tensor


class Tail(NamedTuple):
    """The last stage of a backbone, with the norm behind it.

    States are tokens (N, L, C) or maps (N, C, H, W), as the network's own forward pass has them. Whatever candidate is
    active, ``run`` of what ``before`` puts out is what ``behind`` puts out.

    Attributes:
        before: The module whose output enters the last stage.
        behind: The module whose output leaves it; the head reads nothing else.
        run: From what enters to what leaves.
    """

    before: nn.Module
    behind: nn.Module
    run: Callable[[Tensor], Tensor]
