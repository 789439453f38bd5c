"""Two things measured in one process, in turn, and their ratio: times do not hold from machine to machine, ratios do.

Each pair runs A and then B; the ratio of a row is the median over pairs, its spread the quartiles. A row may have a
target, which is printed beside it and asserted nowhere.
"""

import argparse
import json
import platform
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

MIN_PAIRS = 5
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        what: The two things, ``'A over B'``.
        ratio: Median over pairs of A / B; for a count that needs no pairs, A / B.
        low, high: Quartiles of the pairs.
        a, b: Medians of A and of B, in ``unit``.
        unit: ``'s'``, ``'bytes'``, ``'images/s'``, ``'MACs'``.
        pairs: Number of pairs; 1 for a count.
        target: What the ratio is meant to be at most.
    """

    what: str
    ratio: float
    low: float
    high: float
    a: float
    b: float
    unit: str = 's'
    pairs: int = 1
    target: float | None = None

    def __str__(self) -> str:
        spread = f' [{self.low:.3f}, {self.high:.3f}]' if self.pairs > 1 else ''
        target = '' if self.target is None else f'   target <= {self.target:.3f}, {self.verdict}'
        return f'{self.what:<64}{self.ratio:>8.3f}{spread:<17}{target}'

    @property
    def verdict(self) -> str:
        """Whether the target is met; unclear when the quartiles lie on both of its sides."""
        if self.target is None:
            return ''
        if self.low <= self.target < self.high and self.pairs > 1:
            return 'met, within the spread' if self.ratio <= self.target else 'missed, within the spread'
        return 'met' if self.ratio <= self.target else 'missed'


def compare(what: str, a: Callable[[], object], b: Callable[[], object], options: argparse.Namespace, *,
            target: float | None = None) -> Row:
    """Time A and B in turn for about ``--seconds``, five pairs at least, after a run of each that is not counted."""
    for function in (a, b):
        timed(function, options.device)
    pairs, begin = [], time.perf_counter()
    while len(pairs) < MIN_PAIRS or time.perf_counter() - begin < options.seconds:
        pairs.append((timed(a, options.device), timed(b, options.device)))
    times = np.array(pairs)
    low, middle, high = np.quantile(times[:, 0] / times[:, 1], [0.25, 0.5, 0.75])
    return Row(what, float(middle), float(low), float(high), *map(float, np.median(times, axis=0)), pairs=len(pairs),
               target=target)


def counted(what: str, a: float, b: float, unit: str, target: float | None = None) -> Row:
    """A row of two numbers that are the same on every run."""
    return Row(what, a / b, a / b, a / b, a, b, unit, target=target)


def timed(function: Callable[[], object], device: str) -> float:
    """Seconds that one call takes."""
    synchronise(device)
    begin = time.perf_counter()
    function()
    synchronise(device)
    return time.perf_counter() - begin


def synchronise(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def peak_bytes(function: Callable[[], object], device: str) -> int:
    """Largest amount of tensor memory that a call holds at once beyond what was held before it.

    On a CPU the profiler's record of every allocation is added up, so that the operating system has no part in it.
    """
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    changes = [(event.start_ns(), event.nbytes()) for event in profiler.profiler.kineto_results.events()
               if event.name() == '[memory]']
    changes.sort(key=lambda change: change[0])
    return int(np.cumsum([size for _, size in changes]).max())


def precision(options: argparse.Namespace) -> AbstractContextManager:
    """Autocast to the dtype that was asked for."""
    if options.dtype == 'float32':
        return nullcontext()
    return torch.autocast(options.device, dtype=DTYPES[options.dtype])


# --- command line ---

def parse_args(doc: str, *, batch_size: int, seconds: float, add: Callable = lambda parser: None) -> argparse.Namespace:
    """Arguments that every benchmark takes, and threads set as they say."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--dtype', default='float32', choices=list(DTYPES), help='autocast to it')
    parser.add_argument('--batch-size', type=int, default=batch_size)
    parser.add_argument('--seconds', type=float, default=seconds, help='spent on each row, about')
    parser.add_argument('--threads', type=int, default=None, help='torch threads; all cores by default')
    parser.add_argument('--json', type=Path, help='write the rows with their context')
    add(parser)
    options = parser.parse_args()
    if options.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: there is no GPU here; leave --device out')
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    return options


def report(title: str, rows: list[Row], options: argparse.Namespace) -> None:
    """Print a table, and write it if ``--json`` asks for it."""
    facts = context(options)
    print(f'{title}   ({facts["device"]}, {options.dtype}, batch {options.batch_size}, {facts["threads"]} threads)')
    for row in rows:
        print(f'  {row}')
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {'title': title, 'context': facts, 'rows': [{**asdict(row), 'verdict': row.verdict} for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + '\n')


def context(options: argparse.Namespace) -> dict:
    """Where and on what the rows were measured."""
    root = Path(__file__).resolve().parent.parent
    commit = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], capture_output=True, text=True, cwd=root)
    on_gpu = options.device == 'cuda'
    return {'device': torch.cuda.get_device_name() if on_gpu else processor(), 'dtype': options.dtype,
            'batch_size': options.batch_size, 'threads': torch.get_num_threads(), 'torch': torch.__version__,
            'python': platform.python_version(), 'commit': commit.stdout.strip() or None,
            'date': time.strftime('%Y-%m-%d')}


def device_name() -> str:
    """Name of what runs compute on: the GPU where there is one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor()


def processor() -> str:
    """Name of the processor."""
    info = Path('/proc/cpuinfo')
    names = [line.split(':', 1)[1].strip() for line in info.read_text().splitlines()
             if line.startswith('model name')] if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()
