"""One folder for TensorBoard: every stage of a run is a run of its own there, named after the stage."""

import copy
from pathlib import Path
from typing import Any

FOLDER = 'tensorboard'
BACKEND = 'TensorboardVisBackend'


def in_one_folder(visualizer: dict[str, Any], work_dir: Path, name: str) -> dict[str, Any]:
    """The settings of a visualizer whose TensorBoard backends write to ``work_dir/tensorboard/name``.

    A backend with a ``save_dir`` of its own keeps it; other backends write where the host lets them.

    Args:
        visualizer: Settings; left as they are.
        work_dir: Of the run.
        name: Of the stage, or of a part of it: ``'export/teacher'``.
    """
    visualizer = copy.deepcopy(visualizer)
    backends = visualizer.get('vis_backends') or []
    for backend in [backends] if isinstance(backends, dict) else backends:
        if str(backend['type']).rpartition('.')[2] == BACKEND:
            backend.setdefault('save_dir', str(work_dir / FOLDER / name))
    return visualizer
