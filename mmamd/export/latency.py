"""How long a network takes: a median of many calls, with its quartiles, after calls that do not count."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.export.onnx import open_onnx

FEWEST, MOST = 5, 1000  # calls that are timed: quartiles need some
WARM = 3  # calls before them at least: memory is allotted, code is chosen


@dataclass(frozen=True)
class Timing:
    """Wall time of one call.

    Attributes:
        batch: Images a call.
        median, low, high: In milliseconds; ``low`` and ``high`` are the quartiles.
        calls: How many were timed.
    """

    batch: int
    median: float
    low: float
    high: float
    calls: int


def time_function(call: Callable[[], object], batch: int, seconds: float) -> Timing:
    """Time a call that ends when its work is done.

    Args:
        call: Runs the network on a batch.
        batch: Images in it.
        seconds: Timed calls go on for at least so long, as long as they are fewer than 1,000; there are 5 at least. A
            tenth of it, and 3 calls, go before.
    """
    _durations(call, WARM, seconds / 10)
    found = _durations(call, FEWEST, seconds)
    low, median, high = (1000 * quantile for quantile in statistics.quantiles(found, n=4, method='inclusive'))
    return Timing(batch, median, low, high, len(found))


def torch_call(network: nn.Module, images: Tensor, device: torch.device) -> Callable[[], None]:
    """A call of a host network, in eval mode, on a batch; both move to the device."""
    network, images = network.to(device), images.to(device)

    @torch.inference_mode()
    def call() -> None:
        network(images, mode='tensor')
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    return call


def onnx_call(path: Path, images: Tensor, threads: int | None = None,
              provider: str = 'CPUExecutionProvider') -> Callable[[], list]:
    """A call of ONNX Runtime on a batch; the file is not read any more."""
    session, inputs = open_onnx(path, threads, provider), {'images': images.numpy()}
    return lambda: session.run(None, inputs)


def _durations(call: Callable[[], object], least: int, seconds: float) -> list[float]:
    """Seconds of single calls."""
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while len(durations) < least or (time.perf_counter() < end and len(durations) < MOST):
        begin = time.perf_counter()
        call()
        durations.append(time.perf_counter() - begin)
    return durations
