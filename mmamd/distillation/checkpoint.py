"""Weights of a network from wherever they are, and a clear word when they do not fit."""

from pathlib import Path

import torch.nn as nn
from mmengine.runner import CheckpointLoader
from torch import Tensor


def read_weights(source: str) -> dict[str, Tensor]:
    """State dict of a network from a path, a URL or a key of MMPretrain's model zoo, on the CPU.

    Training checkpoints of the distiller are read as the network that it trained.

    Raises:
        FileNotFoundError: If ``source`` is none of the three.
    """
    state = CheckpointLoader.load_checkpoint(_locate(source), map_location='cpu', logger='silent')
    state = state.get('state_dict', state)
    prefix = 'network.'
    if all(key.startswith(prefix) for key in state):
        state = {key[len(prefix):]: value for key, value in state.items()}
    return state


def load_weights(network: nn.Module, source: str) -> None:
    """Load all weights of ``network`` from ``source``; every key must fit.

    Raises:
        ValueError: If the checkpoint is of another architecture or class count; it names the first differences.
    """
    state = read_weights(source)
    # Compared here and not by load_state_dict: the host resizes position embeddings on the way, with a word in the log.
    differences = _differences(network, state)
    if differences:
        raise ValueError(f'{source} does not fit the network: {differences}. Expected a checkpoint of exactly this '
                         'network; make model.architecture that of the checkpoint (depth, widths, image and patch '
                         'size, number of classes), or give another checkpoint')
    network.load_state_dict(state, strict=True)


def _locate(source: str) -> str:
    if source.startswith(('http://', 'https://')) or Path(source).expanduser().is_file():
        return source
    if '/' not in source and not source.endswith('.pth'):
        from mmpretrain.apis import get_model, list_models
        if source in list_models():
            url = get_model.__globals__['ModelHub'].get(source).weights
            if url:
                return url
    raise FileNotFoundError(f'no teacher checkpoint at {source!r}: expected a file, a URL, or the name of a model of '
                            "MMPretrain's zoo that has weights. Train one with a config of configs/teacher/, or set "
                            'model.teacher')


def _differences(network: nn.Module, state: dict[str, Tensor], most: int = 3) -> str:
    own = network.state_dict()
    found = [f'{key} is {tuple(state[key].shape)} in the checkpoint and {tuple(value.shape)} in the network'
             for key, value in own.items() if key in state and state[key].shape != value.shape]
    # The head tells the class count, the difference that users meet most, so it is said first.
    found.sort(key=lambda text: not text.startswith(('head.', 'decode_head.')))
    found += [f'{key} is missing from the checkpoint' for key in own if key not in state]
    found += [f'{key} is unexpected' for key in state if key not in own]
    more = f' (and {len(found) - most} more)' if len(found) > most else ''
    return '; '.join(found[:most]) + more
