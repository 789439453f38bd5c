"""Compress large vision models by Automatic Multi-step Distillation (AMD, ECCV 2024), as a plugin of MMEngine.

The folders follow the method:

    files/          files written whole, and read as data
    structures.py   the plain data that stages exchange
    passes.py       one pass through a network, and what it leaves behind
    pruning/        importance of units, ranking, nested candidates, exact costs
    backbones/      networks that can run as any candidate
    weights/        where weights come from, and networks as files
    distillation/   one joint step that trains many candidates of one shared network, by terms of a loss
    selection/      performance of several networks side by side, and the choice of one
    pipeline/       the runner that carries a config through its stages: one stage, whole, a file
    methods/        which stages there are, and who teaches whom: one method a file
    search/         algorithms that find what terms of the loss then use
    tasks/          what differs between tasks
    export/         the physically small model in its forms: weights, ONNX, torch.export, plain MMPretrain, timm
    datasets/       held-out split, bundled digits, a sampler for schedules in steps
    visualization/  pictures
    cli/            the command `mmamd`, one sub-command a file
    compat.py       everything that works around the host, and nothing else
"""

from typing import Any

from mmamd import compat
from mmamd.lazy import lazily
from mmamd.version import __version__

__all__ = ['__version__', 'bench', 'compress', 'export_model', 'load_student']
__getattr__ = lazily(__name__, dict.fromkeys(('bench', 'compress', 'export_model', 'load_student'), 'mmamd.api'))


def _read(filename: str, map_location: Any) -> dict:
    from mmamd.files.checkpoint import read_checkpoint
    return read_checkpoint(filename, map_location)


def _write(content: bytes, path: str) -> None:
    from mmamd.files.whole import write_whole
    write_whole(content, path)


compat.apply_on_import(_read, _write)
