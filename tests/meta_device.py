"""Networks with shapes and without memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import torch


@contextmanager
def meta_device() -> Iterator[None]:
    """Build networks on the meta device, the host's Swin and T2T-ViT too.

    The one reads its drop path rates out of a tensor, which has no values there, so this tensor is made on the CPU; the
    other makes its positions by a constructor that asks for no device, in whose place stands one that does.
    """
    with (mock.patch.object(torch, 'linspace', partial(torch.linspace, device='cpu')),
          mock.patch.object(torch, 'FloatTensor', partial(torch.tensor, dtype=torch.float32)), torch.device('meta')):
        yield
