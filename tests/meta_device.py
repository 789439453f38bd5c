"""Networks with shapes and without memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import torch


@contextmanager
def meta_device() -> Iterator[None]:
    """Build networks on the meta device, the host's Swin too.

    That one reads its drop path rates out of a tensor, which has no values there; so this tensor is made on the CPU.
    """
    with mock.patch.object(torch, 'linspace', partial(torch.linspace, device='cpu')), torch.device('meta'):
        yield
