"""The backbone that a run has delivered, as a part of another network: of a segmentor where it was a classifier's."""

from pathlib import Path
from typing import Any

import torch.nn as nn

from mmamd import compat
from mmamd.files.run_config import import_custom, read_run_config
from mmamd.registry import MODELS
from mmamd.weights.networks import find_network


@MODELS.register_module()
def CompressedBackbone(*, run: str | Path, network: str = 'export', **arguments: Any) -> nn.Module:  # noqa: N802
    """The backbone of a small network of a run, as it was cut; training starts from its weights.

    The weights are read where a network is initialised, as before a training; a network that is built to load a
    checkpoint reads of the run its shape alone.

    Args:
        run: work_dir of a finished run.
        network: Reference to the network, where the run delivers several: ``'export@KEY'``.
        **arguments: Of the backbone's class, in the place of those that it has in the run: what the new network wants
            of it, such as ``img_size`` and ``out_indices``.

    Raises:
        FileNotFoundError, ValueError: If the run has delivered no network, or none of that reference; if its files
            name what would run code.
    """
    found, config = find_network(run, network), read_run_config(run)
    import_custom(config, run)
    with compat.registered_types_only():
        return MODELS.build({
            '_scope_': config.get('default_scope', 'mmpretrain'), **found.architecture['backbone'], **arguments,
            'init_cfg': dict(type='Pretrained', checkpoint=found.weights, prefix='backbone.')})
