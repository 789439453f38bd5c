"""Where a run's pictures and curves go, looked at before anything runs: the first stage that logs builds it."""

import importlib.util
from typing import Any

from mmengine.registry import VISBACKENDS

from mmamd.pipeline.config.host_parts import check_part

# The host imports the package of a backend when it is first written to.
PACKAGES = {'TensorboardVisBackend': ('tensorboard', 'tensorboardX'), 'WandbVisBackend': ('wandb',),
            'MLflowVisBackend': ('mlflow',), 'ClearMLVisBackend': ('clearml',), 'NeptuneVisBackend': ('neptune',),
            'DVCLiveVisBackend': ('dvclive',), 'AimVisBackend': ('aim',)}


def check_backends(backends: Any) -> None:
    """Raise ValueError for ``visualizer.vis_backends`` that cannot be built, or whose package is not installed."""
    if backends is None:
        return
    if not isinstance(backends, (list, tuple)):
        raise ValueError(f"visualizer.vis_backends must be a list of sections, got {backends!r}; e.g. "
                         "[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]")
    for i, backend in enumerate(backends):
        where = f'visualizer.vis_backends.{i}'
        kind = check_part(where, VISBACKENDS, backend, ['save_dir', 'name'])
        packages = PACKAGES.get(kind.__name__, ())
        if packages and not any(map(importlib.util.find_spec, packages)):
            raise ValueError(f'{where}.type={backend["type"]!r} needs the package {" or ".join(packages)}, which is '
                             f'not installed: pip install {packages[0]}, or leave the backend out')
