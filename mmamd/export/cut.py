"""From the shared network to a small model that stands alone."""

import copy
from collections.abc import Sequence
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
    return Config({**{key: cfg[key] for key in _STUDENT_KEYS if cfg.get(key) is not None},
                   'model': copy.deepcopy(model)})


def save_student(small: nn.Module, path: Path, class_names: Sequence[str] | None = None) -> None:
    """Save the weights as plain tensors that load under ``weights_only=True``; ValueError if some are not finite.

    Names of classes are written where the host looks for them.
    """
    check_finite(small, f'the network of {path}')
    write_checkpoint({'state_dict': {key: value.cpu().contiguous() for key, value in small.state_dict().items()},
                      'meta': {'dataset_meta': {'classes': list(class_names)}} if class_names else {}}, path)
