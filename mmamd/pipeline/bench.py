"""How fast the networks of a finished run are, by torch and by ONNX Runtime, and what integers lose."""

import platform
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import torch
import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from mmamd.export import (
    Comparison,
    Samples,
    compare,
    describe,
    export_onnx,
    onnx_call,
    quantise,
    read_onnx,
    save_student,
    time_function,
    torch_call,
)
from mmamd.files.json_file import write_json
from mmamd.files.run_config import import_custom, read_run_config
from mmamd.pipeline.console import aligned
from mmamd.pipeline.finished_run import as_its_run, find_assistant
from mmamd.pipeline.outputs import refuse_damage
from mmamd.pipeline.samples import samples_of
from mmamd.pipeline.stages.export import stand_alone
from mmamd.pipeline.state import RunState
from mmamd.structures import Network
from mmamd.visualization import read_run, write_report
from mmamd.visualization.bench_table import FILE, timing_text
from mmamd.visualization.students import name_of
from mmamd.visualization.units import byte_text
from mmamd.weights.networks import build_network, find_network

PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


def run_bench(work_dir: Path, batch_sizes: list[int], threads: int | None, device: str, seconds: float) -> dict:
    """See :func:`mmamd.bench`.

    Returns:
        ``networks``, rows of a ``network``, a ``runtime``, a ``precision``, the ``bytes`` of its file, ``timings``
        (:class:`mmamd.export.Timing`) and the ``comparison`` of integers with floats on test images
        (:class:`mmamd.export.Comparison`), None for floats; ``device``, ``processor``, ``threads`` and ``versions``
        they were timed with; ``notes`` and ``warnings``, what a reader must know, and must not overlook.
    """
    state = RunState(work_dir)
    cfg = read_run_config(work_dir)
    import_custom(cfg, work_dir)
    networks, students = _networks(work_dir, state)
    refuse_damage(state)
    with as_its_run(cfg), _threads(threads) as num_threads:
        shape = tuple(build_network(networks['teacher']).backbone.input_shape)
        clock = _Clock(batch_sizes, num_threads, torch.device(device), seconds, shape)
        samples, missing = partial(samples_of, cfg, work_dir), {}
        rows = [row for name, network in networks.items()
                for row in _measure(clock, name, network, cfg, samples if name in students else None, missing)]
    found = {'networks': rows, 'device': str(clock.device), 'processor': _processor(clock.device),
             'threads': num_threads,
             'versions': {'torch': torch.__version__, 'onnxruntime': onnxruntime.__version__}}
    found |= {'notes': [_where(found)] + [f'Not measured: {what}: {why}' for what, why in missing.items()],
              'warnings': []}
    for row in filter(lambda row: row['comparison'], rows):
        comparison = Comparison(**row['comparison'])
        found['warnings' if comparison.is_loss else 'notes'].append(
            f'The {row["network"]} in {row["precision"]}: {comparison}.')
    write_json(work_dir / 'export' / FILE, found)
    write_report(read_run(work_dir), work_dir / 'report.html')
    return found


def format_bench(found: dict) -> str:
    """What :func:`run_bench` has found as aligned plain text, and in sentences what a reader must know."""
    rows = [['network', 'runtime', 'precision', 'file', 'batch', 'ms']]
    rows += [[row['network'], row['runtime'], row['precision'], byte_text(row['bytes']), str(timing['batch']),
              timing_text(timing)] for row in found['networks'] for timing in row['timings']]
    return '\n'.join([*aligned(rows, words=3), *found['notes'], *(f'warning: {text}' for text in found['warnings'])])


def _where(found: dict) -> str:
    versions = ', '.join(f'{name} {version}' for name, version in found['versions'].items())
    return (f'Median and quartiles of calls on {found["device"]} ({found["processor"]}), {found["threads"]} '
            f'thread{"s" * (found["threads"] != 1)}; {versions}. Images are in memory, preprocessed.')


def _networks(work_dir: Path, state: RunState) -> tuple[dict[str, Network], list[str]]:
    """Name -> network, with no assistant where a method chooses none; and which of them are delivered."""
    if not all(map(state.is_finished, state.of_kind('export') or ['export'])):
        raise FileNotFoundError(f'{work_dir} has not delivered its student, so there is none to time; finish the run '
                                'by giving its command again')
    delivered = state.content['delivered']
    found = {'teacher': find_network(work_dir, 'nest')}
    if [stage for stage in state.of_kind('select') if stage not in delivered]:
        found['assistant'] = find_assistant(work_dir, state)
    students = {name_of(reference, delivered): reference for reference in delivered}
    return found | {name: find_network(work_dir, reference) for name, reference in students.items()}, list(students)


@dataclass(frozen=True)
class _Clock:
    """How networks are timed, and on images of which shape."""

    batch_sizes: list[int]
    threads: int
    device: torch.device
    seconds: float
    input_shape: tuple[int, int, int]

    def time(self, call_on: Callable[[Tensor], Callable[[], object]]) -> list[dict]:
        """Timings of what ``call_on`` makes of a batch of images."""
        found = []
        for batch in self.batch_sizes:
            images = torch.randn(batch, *self.input_shape, generator=torch.Generator().manual_seed(0))
            found.append(asdict(time_function(call_on(images), batch, self.seconds)))
        return found


def _measure(clock: _Clock, name: str, network: Network, cfg: Config, samples: Callable[[nn.Module], Samples] | None,
             missing: dict[str, str]) -> Iterator[dict]:
    """The rows of a network: by torch, by ONNX Runtime and, where there are ``samples`` for it, in integers."""
    config, small = stand_alone(cfg, network)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_student(small, folder / 'model.pth')
        export_onnx(small, folder / 'model.onnx', describe(config, network, clock.input_shape), clock.input_shape)

        def row(runtime: str, precision: str, file: str, timings: list[dict], comparison: Any = None) -> dict:
            return {'network': name, 'runtime': runtime, 'precision': precision,
                    'bytes': (folder / file).stat().st_size, 'timings': timings,
                    'comparison': comparison and asdict(comparison)}

        yield row('torch', 'float32', 'model.pth', clock.time(lambda images: torch_call(small, images, clock.device)))
        small.cpu()
        provider = PROVIDERS.get(clock.device.type)
        if provider not in onnxruntime.get_available_providers():
            missing['ONNX Runtime'] = f'this build of onnxruntime has no provider for {clock.device.type}'
            return
        by_onnx = lambda file: clock.time(  # noqa: E731
            lambda images: onnx_call(folder / file, images, clock.threads, provider))
        yield row('ONNX Runtime', 'float32', 'model.onnx', by_onnx('model.onnx'))
        if samples is None:
            return
        own = samples(small)
        try:
            quantise(folder / 'model.onnx', folder / 'int8.onnx', own.calibration())
            comparison = compare(read_onnx(folder / 'int8.onnx'), lambda images: small(images, mode='tensor'),
                                 own.test())
        except (ValueError, FileNotFoundError) as error:  # of the data
            missing[f'{name} in int8'] = str(error)
            return
        yield row('ONNX Runtime', 'int8', 'int8.onnx', by_onnx('int8.onnx'), comparison)


@contextmanager
def _threads(threads: int | None) -> Iterator[int]:
    """Let torch compute with some threads, by default those that it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield threads or before
    finally:
        torch.set_num_threads(before)


def _processor(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    cpuinfo = Path('/proc/cpuinfo')
    named = re.search(r'^model name\s*: (.+)$', cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else None
    return named[1].strip() if named else platform.processor() or platform.machine()
