"""Choose the size of the student by the time that it takes on this device."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process

from mmamd.export import cut_network, export_onnx, onnx_call, time_function, torch_call
from mmamd.files.json_file import write_json
from mmamd.pipeline.config.sizes import LatencySettings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.size import FILE
from mmamd.pipeline.stages.stage import Stage
from mmamd.structures import scale_key
from mmamd.weights.networks import build_network, find_network

SECONDS = 0.5  # that a network is measured for


@dataclass(frozen=True, kw_only=True)
class Latency(Stage):
    """Time the candidates, whose weights do not matter, and choose the largest that is fast enough: ``size.json``.

    Attributes:
        teacher: Reference to the teacher, its units in their order.
        sizes: Scales that the student may have, ascending.
        latency: What it may take.
    """

    kind: ClassVar[str] = 'latency'
    decides: ClassVar[bool] = True
    name: str = 'size'
    teacher: str = 'nest'
    sizes: tuple
    latency: dict

    @classmethod
    def of(cls, context: Context) -> 'Latency':
        """The stage that a config asks for."""
        settings = context.settings.compression
        return cls(sizes=tuple(settings.sizes), latency=asdict(settings.latency_settings))

    def networks(self) -> list[str]:
        return [self.teacher]

    def files(self) -> list[str]:
        return ['nest/family.json']

    def carry_out(self, context: Context) -> None:
        if is_main_process():
            settings, folder = LatencySettings(**self.latency), context.work_dir / self.name
            network = build_network(find_network(context.work_dir, self.teacher))
            seconds = {}
            for place, size in enumerate(self.sizes):
                context.progress.update(self.name, place / len(self.sizes))
                small = cut_network(network, context.family.at(size))
                seconds[size] = median_seconds(small, context.input_shape, settings.batch_size, settings.runtime)
            write_json(folder / FILE, {
                'scale': largest_within(seconds, settings), **self.latency, 'device': device_of(settings.runtime),
                'threads': torch.get_num_threads(),
                'seconds': {scale_key(size): found for size, found in seconds.items()}})
        barrier()


def largest_within(seconds: dict[float, float], settings: LatencySettings) -> float:
    """The largest size that takes at most so long.

    Raises:
        ValueError: If none does.
    """
    fast = [size for size, found in seconds.items() if found <= settings.seconds]
    if not fast:
        size = min(seconds)
        raise ValueError(f'compression.latency={settings.most!r} is met by no candidate: the smallest, {size}, takes '
                         f'{1e3 * seconds[size]:.3g} ms of {settings.runtime} at batch {settings.batch_size}; allow '
                         'more time, or name smaller candidates in compression.scales')
    return max(fast)


def median_seconds(network: nn.Module, input_shape: tuple[int, int, int], batch_size: int, runtime: str) -> float:
    """Median time of a batch.

    Args:
        network: A host network that stands alone, on the CPU, in eval mode.
        input_shape: (channels, height, width).
        batch_size: Images a batch.
        runtime: A name of :data:`mmamd.pipeline.config.sizes.RUNTIMES`.
    """
    images = torch.zeros(batch_size, *input_shape)
    if runtime == 'torch':
        call = torch_call(network, images, torch.device(device_of(runtime)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(network, Path(folder) / 'model.onnx', input_shape=input_shape)
            call = onnx_call(Path(folder) / 'model.onnx', images, torch.get_num_threads())
    return time_function(call, batch_size, SECONDS).median / 1e3


def device_of(runtime: str) -> str:
    """Where a runtime runs: torch on the device of the run, ONNX Runtime on the CPU."""
    return get_device() if runtime == 'torch' else 'cpu'
