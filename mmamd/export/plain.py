"""A student as the host's own network: a plain MMPretrain config, and weights under its names."""

import copy
from collections.abc import Iterator
from typing import Any

import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from mmamd.export.cut import student_config
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Network


def plain_config(cfg: Config, network: nn.Module, candidate: Candidate | Network) -> Config:
    """Config that rebuilds the candidate by the host's own means where there is no mmamd.

    The validation data, which are held-out training images, stay behind, and so do test data of a type of mmamd.

    Args:
        cfg: Config of the run, whose model is the distiller.
        network: The uncut network. Its backbone has a method ``plain_config``.
        candidate: The student.

    Raises:
        ValueError: If the host's network cannot be the candidate; it names the layer and the reason.
    """
    plain = student_config(cfg, network, candidate).to_dict()
    plain['model']['backbone'] = network.backbone.plain_config(
        copy.deepcopy(cfg.model.architecture.backbone.to_dict()), candidate.kept)
    if plain.get('default_scope') == 'mmseg':  # whose backbones of these names are other classes
        plain['model']['backbone']['type'] = f"mmpretrain.{plain['model']['backbone']['type']}"
    ours = [kind for kind in _types(plain['model']) if kind.startswith('mmamd.')]
    if ours:
        raise ValueError(f'model: {", ".join(ours)} is a part of mmamd')
    splits = ['val'] + ['test'] * any(kind.startswith('mmamd.') for kind in _types(plain.get('test_dataloader')))
    return Config({key: value for key, value in plain.items() if not key.startswith(tuple(f'{s}_' for s in splits))})


def plain_weights(config: Config, network: nn.Module, small: nn.Module) -> dict[str, Tensor]:
    """Weights of the network of a plain config: those of the cut network.

    Where it has lost a branch that the host's keeps at width zero, the leading part of each tensor of the uncut one.

    Args:
        config: From :func:`plain_config`.
        network: The uncut network.
        small: The cut one.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpretrain')):
        shapes = {key: value.shape for key, value in MODELS.build(copy.deepcopy(config.model)).state_dict().items()}
    shared, cut = network.state_dict(), small.state_dict()
    return {key: (cut[key] if key in cut else shared[key][tuple(slice(size) for size in shape)]).clone()
            for key, shape in shapes.items()}


def _types(value: Any) -> Iterator[str]:
    """All values of keys ``type`` in a config, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value['type']
        for item in value.values():
            yield from _types(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _types(item)
