"""Checkpoints: files of torch.save and safetensors, read as data.

A pickle may run any code when it is read. Here torch reads it under ``weights_only=True``: tensors and plain values,
and the few types below that the host's training checkpoints hold.
"""

import argparse
import logging
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

from mmamd.files.whole import remedy, stage_of, written_whole

VARIABLE = 'MMAMD_TRUST_CHECKPOINTS'
_trusting = False  # what the config of the run says
_warned: set[Path] = set()


def _statistic(owner: type, name: str) -> Any:
    """What ``getattr`` is read as: HistoryBuffer names its own methods by it."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'GLOBAL builtins.getattr of {owner!r} and {name!r}')
    return getattr(HistoryBuffer, name)


# Types that do nothing when they are made, and the names that versions of numpy have written them by.
_HARMLESS = [
    HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype, (_statistic, 'builtins.getattr'),
    *((make, f'numpy.{core}.multiarray.{make.__name__}')
      for make in (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]) for core in ('core', '_core')),
    *(type(np.dtype(name)) for name in ('?', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8', 'U',
                                        'S'))]


def trust_checkpoints(trusting: bool) -> None:
    """Read checkpoints in full from now on, whatever they hold, or again as data alone.

    Raises:
        ValueError: If the value is no bool.
    """
    global _trusting
    if not isinstance(trusting, bool):
        raise ValueError(f'trust_checkpoints must be True or False, got {trusting!r}')
    _trusting = trusting


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict:
    """The dict of a file of torch.save, without running any code.

    Where the config has ``trust_checkpoints=True`` or the environment ``MMAMD_TRUST_CHECKPOINTS=1``, other types are
    unpickled too, with a warning once a file; never in what a stage has left of its own, which holds none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds other types, no dict, or is damaged; names the file and what to do.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{path} can not be found.')
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            found = torch.load(path, map_location=map_location, weights_only=True)
    except (PermissionError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are bytes
        foreign = _foreign(error, path)
        if foreign is None:
            raise ValueError(f'{path} is no checkpoint, or a damaged one ({_reason(error, path)}); {remedy(path)}'
                             ) from error
        found = _read_in_full(path, map_location, foreign)
    if not isinstance(found, dict):
        raise ValueError(f'{path} holds a {type(found).__name__}; expected a checkpoint: a dict of tensors, alone or '
                         f"under 'state_dict'; {remedy(path)}")
    # The host executes this text when it resumes, to learn how many GPUs there were.
    if isinstance(found.get('meta'), dict):
        found['meta'].pop('config', None)
    return found


def _read_in_full(path: Path, map_location: Any, foreign: str) -> Any:
    if _is_own(path):
        raise ValueError(f'{path} holds {foreign}, and a stage leaves tensors and plain values alone: the file was '
                         f'changed, and is not read, for that may run code; {remedy(path)}')
    if not (_trusting or os.environ.get(VARIABLE) == '1'):
        raise ValueError(f'{path} holds {foreign}, which is not read, for that may run code; expected tensors and '
                         'plain values: save one by torch.save(model.state_dict(), FILE). If you trust whoever made '
                         f'it, set trust_checkpoints=True in the config, or {VARIABLE}=1 for tools')
    if path.absolute() not in _warned:
        _warned.add(path.absolute())
        print_log(f'{path} holds {foreign} and is unpickled in full, which may run code, because trust_checkpoints or '
                  f'{VARIABLE} says so', 'current', logging.WARNING)
    try:
        return torch.load(path, map_location=map_location, weights_only=False)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f'{path} is damaged ({error}); {remedy(path)}') from error


def _is_own(path: Path) -> bool:
    """Whether a stage has left the file; checkpoints within a stage are the host's, and hold what its hooks put in."""
    return stage_of(path.absolute()) is not None and not re.match(r'(epoch|iter|best)_', path.name)


def _foreign(error: Exception, path: Path) -> str | None:
    """What a checkpoint holds that is no data, in words; None where it is no pickle at all."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    named = re.search(r'GLOBAL (\S+)|for unrecognized function (.+?)(?: which|\n|$)|allowlisted\s+via '
                      r'`add_safe_globals`,? but got (.+)', str(error))
    if named:
        return next(filter(None, named.groups())).strip()
    with open(path, 'rb') as file:
        is_pickle = file.read(1) == b'\x80' or zipfile.is_zipfile(path)
    return 'a pickle of another kind than torch.save writes' if is_pickle and not _is_truncated(error) else None


def _is_truncated(error: Exception) -> bool:
    return isinstance(error.__cause__ or error.__context__, (EOFError, IndexError))


def _reason(error: Exception, path: Path) -> str:
    if not path.stat().st_size:
        return 'it is empty'
    text = str(error).rpartition('WeightsUnpickler error: ')[2].strip()
    # The first sentence: torch goes on to advise reading the file in full.
    return f'{type(error).__name__}: {text.splitlines()[0].partition(". ")[0]}' if text else type(error).__name__


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's archive can be read to its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError):
        return False


def write_checkpoint(content: dict, path: str | Path) -> None:
    """Save tensors and plain values by torch.save, whole or not at all."""
    with written_whole(path) as partial:
        torch.save(content, partial)


def read_tensors(path: str | Path, device: str = 'cpu') -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ValueError: If it is damaged; names the file and what to do.
    """
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework='pt', device=device) as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f'{path} is no safetensors file, or a damaged one ({error}); {remedy(path)}') from error
