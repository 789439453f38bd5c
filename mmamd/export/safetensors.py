"""Weights as safetensors: a file that cannot run code, and that says what network it is of."""

import json
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from safetensors.torch import save
from torch import Tensor

from mmamd import compat
from mmamd.files.checkpoint import read_tensors
from mmamd.files.whole import written_whole
from mmamd.registry import MODELS

SCOPE = 'mmpretrain'  # in which the types of a model's parts are looked up, where a file names no other


def save_safetensors(weights: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors and metadata. ``format`` is added, for readers that ask of which library the tensors are.

    The same content is the same file: the library writes metadata in an order that changes from process to process,
    and for the user alone, whatever the umask says.
    """
    content = save({key: value.detach().cpu().contiguous() for key, value in weights.items()},
                   metadata={**metadata, 'format': 'pt'})
    # 8 bytes of the header's length, the header, and the tensors, whose offsets count from its end.
    length = int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:8 + length])
    header = {'__metadata__': dict(sorted(header.pop('__metadata__').items())), **header}
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)  # the tensors are aligned to 8 bytes
    with written_whole(path) as partial, open(partial, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        file.write(memoryview(content)[8 + length:])


def save_model(small: nn.Module, config: Config, path: Path, metadata: dict[str, str]) -> None:
    """Write a model that :func:`load_safetensors` rebuilds: its config is a part of the metadata."""
    model = dict(config.model.to_dict())
    model.setdefault('data_preprocessor', config.get('data_preprocessor'))
    scope = config.get('default_scope') or SCOPE
    # In the first scope the files are what they were before there was another.
    metadata = {**metadata, 'model': json.dumps(model), **({} if scope == SCOPE else {'scope': scope})}
    save_safetensors(small.state_dict(), path, metadata)


def load_safetensors(path: str | Path) -> nn.Module:
    """The model of a file written by :func:`save_model`, in eval mode.

    Raises:
        ValueError: If the file is damaged, does not say what network it is of, or names what is no component.
    """
    weights, metadata = read_tensors(path)
    if 'model' not in metadata:
        raise ValueError(f"{path} has no entry 'model' in its metadata, so it does not say what network it is of; "
                         "expected student.safetensors of a run or the form 'safetensors' of tools/export.py")
    with DefaultScope.overwrite_default_scope(metadata.get('scope', SCOPE)), compat.registered_types_only():
        network = MODELS.build(ConfigDict(json.loads(metadata['model'])))
    network.load_state_dict(weights)
    return network.eval()
