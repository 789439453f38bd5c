"""Weights of a network from wherever they are, and a clear word when they do not fit."""

import logging
from typing import Any

import numpy as np
import torch.nn as nn
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.timm_vit import build_empty, from_timm, normalisation_of
from mmamd.notices import notice
from mmamd.weights.sources import NAMELESS, check_source, fetch, local_file, split_timm, timm_architecture


def read_weights(source: str) -> dict[str, Tensor]:
    """State dict of a network in MMPretrain's names, on the CPU, from any source of :mod:`mmamd.weights.sources`.

    Training checkpoints of the distiller are read as the network that it trained, without what only training needs.

    Raises:
        FileNotFoundError: If there is nothing at ``source``, or it cannot be downloaded.
        ValueError: If it is of a timm model that MMPretrain's VisionTransformer cannot be.
    """
    state = fetch(source)
    state = state.get('state_dict', state)
    if not isinstance(state, dict):
        raise ValueError(f"{source} holds a {type(state).__name__} under 'state_dict'; expected a dict of tensors: "
                         'save one by torch.save(model.state_dict(), FILE)')
    prefix = 'network.'
    trained = {key[len(prefix):]: value for key, value in state.items() if key.startswith(prefix)}
    return trained or state


def load_weights(network: nn.Module, source: str) -> None:
    """Load all weights of ``network`` from ``source``; every key must fit.

    Raises:
        ValueError: If the checkpoint is of another architecture or class count; it names the first differences.
    """
    # Compared here and not by load_state_dict: the host resizes position embeddings on the way, with a word in the log.
    state = _present_names(network, _layout(source))
    differences = _differences(network, state) or _unseen_differences(network, source)
    if differences:
        raise ValueError(f'{source} does not fit the network: {_first(differences)}. Expected a checkpoint of exactly '
                         'this network; make model.architecture that of the checkpoint (depth, widths, image and patch '
                         f'size, number of classes), or give another checkpoint{_hint(source, state)}')
    if any(value.is_meta for value in state.values()):
        state = _present_names(network, read_weights(source))
    network.load_state_dict(state, strict=True)


def check_start(network: nn.Module, source: str) -> None:
    """Check without downloading that ``network`` can be fine-tuned from ``source`` (``load_from`` or ``init_cfg``).

    The host loads what fits and logs the rest, so a timm model of another size would be left out nearly whole. Its
    classes and its image size may differ: the head starts anew, and the host resizes the position embedding.

    Raises:
        FileNotFoundError, ValueError: If there is nothing at ``source``, or its backbone is of another architecture.
    """
    check_source(source)
    if split_timm(source) is None:
        return
    state = _layout(source)
    # A norm after pooling is a part of the new head.
    differences = [text for text in _differences(network, state) if text.startswith('backbone.')
                   and not text.startswith(('backbone.pos_embed', 'backbone.ln2.'))]
    differences = differences or _unseen_differences(network, source)
    if differences:
        raise ValueError(f'the backbone cannot start from {source}: {_first(differences)}. Make it that of the '
                         f'checkpoint{_hint(source, state)}')


def warn_of_normalisation(preprocessor: dict | None, source: str) -> None:
    """Log a warning if images are not normalised as the timm model of ``source`` was trained to see them.

    Args:
        preprocessor: Config of the data preprocessor, with ``mean`` and ``std`` over 0 to 255.
        source: Where the weights are from. Of other sources nothing is known.
    """
    timm = split_timm(source)
    if timm is None or timm[0] == NAMELESS:
        return
    expected = normalisation_of(timm[0])
    used = [(preprocessor or {}).get(key) for key in ('mean', 'std')]
    if None in used or np.abs(np.subtract(used, expected)).max() > 0.5:  # half a grey value
        notice(f"timm's {timm[0]} was trained on images normalised with mean={expected[0]}, std={expected[1]} "
               f'(RGB, 0 to 255), but data_preprocessor has mean={used[0]}, std={used[1]}; accuracy suffers unless '
               f'{source} was trained with these. Set data_preprocessor.mean and .std', logging.WARNING)


def _present_names(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    backbone = getattr(network, 'backbone', None)
    return backbone.present_names(state, 'backbone.') if isinstance(backbone, ElasticBackbone) else state


# --- what differs ---

def _layout(source: str) -> dict[str, Tensor]:
    """Names and shapes of a source's weights: the weights, or what timm would download, known without doing so."""
    timm = split_timm(source)
    if timm is None or timm[1] is not None:
        return read_weights(source)
    check_source(source)
    return from_timm(build_empty(timm[0]).state_dict())


def _differences(network: nn.Module, state: dict[str, Tensor]) -> list[str]:
    own = network.state_dict()
    found = [f'{key} is {_shape(state[key])} in the checkpoint and {tuple(value.shape)} in the network'
             for key, value in own.items() if key in state and _shape(state[key]) != tuple(value.shape)]
    # A head tells the class count, the difference that users meet most, so it is said first.
    found.sort(key=lambda text: text.startswith(('backbone.', 'neck.')))
    found += [f'{key} is missing from the checkpoint' for key in own if key not in state]
    found += [f'{key} is unexpected' for key in state if key not in own]
    return found


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else f'no tensor but a {type(value).__name__}'


def _unseen_differences(network: nn.Module, source: str) -> list[str]:
    """What the shapes of weights do not tell, and the name of a timm model does."""
    architecture = timm_architecture(source)
    if architecture is None:
        return []
    expected = architecture['backbone']
    pairs = {'num_heads': (expected['arch']['num_heads'], network.backbone.arch_settings['num_heads']),
             'the eps of its norms': (expected['norm_cfg']['eps'], network.backbone.ln1.eps)}
    return [f'{name} is {theirs} in the checkpoint and {ours} in the network'
            for name, (theirs, ours) in pairs.items() if theirs != ours]


def _first(differences: list[str], most: int = 3) -> str:
    more = f' (and {len(differences) - most} more)' if len(differences) > most else ''
    return '; '.join(differences[:most]) + more


def _hint(source: str, state: dict[str, Tensor]) -> str:
    architecture = timm_architecture(source)
    if architecture is not None:
        return (f". timm's {split_timm(source)[0]} is architecture={architecture}; for other classes fine-tune it "
                'first, by a config of configs/teacher/')
    inner = state.get('model', state)
    if local_file(source) is not None and isinstance(inner, dict) and any('blocks.0.' in key for key in inner):
        return f". Its names are those of timm: if it is a timm model's, give timm:NAME@{source}"
    return ''
