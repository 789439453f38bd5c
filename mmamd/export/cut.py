"""From the shared network to a small model that stands alone."""

import copy
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config

from mmamd.export.finite import check_finite
from mmamd.files.checkpoint import write_checkpoint
from mmamd.structures import Candidate, Network

# What a config needs to rebuild, evaluate and use a model; schedules and pipeline settings stay behind.
_STUDENT_KEYS = ('default_scope', 'custom_imports', 'data_preprocessor', 'val_dataloader', 'val_evaluator', 'val_cfg',
                 'test_dataloader', 'test_evaluator', 'test_cfg', 'default_hooks', 'env_cfg', 'visualizer', 'log_level',
                 'class_names')


def cut_network(network: nn.Module, candidate: Candidate | Network) -> nn.Module:
    """A physically small copy of ``network``: only the candidate's units, an empty branch being its bias alone."""
    small = copy.deepcopy(network)
    small.backbone.cut(candidate.kept)
    return small.eval()


def student_config(cfg: Config, network: nn.Module, candidate: Candidate | Network) -> Config:
    """Config that rebuilds ``cut_network(network, candidate)`` through ``mmpretrain.get_model``.

    Args:
        cfg: Config of the run, whose model is the distiller.
        network: The uncut network.
        candidate: The student.
    """
    model = copy.deepcopy(cfg.model.architecture.to_dict())
    model['backbone'].update(network.backbone.cut_arguments(candidate.kept))
    return config_of(cfg, model)


def config_of(cfg: Config, model: dict) -> Config:
    """Config of a network that stands alone, with the data and the evaluation of a run's config."""
    keys, model = _STUDENT_KEYS, copy.deepcopy(model)
    if cfg.get('default_scope') == 'mmseg':  # whose own functions look for these two, and in these places
        keys += 'test_pipeline',
        if cfg.get('data_preprocessor') is not None:
            model.setdefault('data_preprocessor', cfg.data_preprocessor.to_dict())
    return Config({**{key: cfg[key] for key in keys if cfg.get(key) is not None}, 'model': model})


def save_student(small: nn.Module, path: Path, meta: dict | None = None) -> None:
    """Save the weights as plain tensors that load under ``weights_only=True``; ValueError if some are not finite.

    Args:
        small: The network.
        path: File to write.
        meta: What the host's readers look for beside the weights, plain values.
    """
    check_finite(small, f'the network of {path}')
    write_checkpoint({'state_dict': {key: value.cpu().contiguous() for key, value in small.state_dict().items()},
                      'meta': meta or {}}, path)
