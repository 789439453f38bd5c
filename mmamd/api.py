"""What the tools do, as functions."""

from pathlib import Path

import torch.nn as nn
from mmengine.config import Config


def compress(config: str | Path | Config, work_dir: str | Path | None = None, **overrides) -> dict:
    """Run the whole method of a config and return its summary.

    Args:
        config: A config of ``mmamd.MultiStepRunner``, or its file.
        work_dir: Folder of the run; ``work_dirs/<config's name>`` by default. A run that is already there continues.
        **overrides: Config keys, nested as dicts or dotted: ``**{'joint.train_cfg.max_epochs': 3}``.

    Returns:
        The content of ``summary.json``.
    """
    from mmamd.pipeline import MultiStepRunner
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    cfg.merge_from_dict(overrides)
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get('work_dir') is None:
        if cfg.filename is None:
            raise ValueError('the config was not read from a file, so the run has no name; give work_dir=')
        cfg.work_dir = str(Path('work_dirs') / Path(cfg.filename).stem)
    return MultiStepRunner.from_cfg(cfg).train()


def load_student(work_dir: str | Path, device: str = 'cpu') -> nn.Module:
    """The small model of a finished run, in eval mode.

    Raises:
        FileNotFoundError: If the run has exported no student.
    """
    from mmpretrain import get_model
    folder = Path(work_dir) / 'student'
    for name in ('config.py', 'student.pth'):
        if not (folder / name).exists():
            raise FileNotFoundError(f'{folder} holds no {name}: the run has not exported its student; finish it by '
                                    'running its config again with the same work_dir')
    model = get_model(str(folder / 'config.py'), pretrained=str(folder / 'student.pth'), device=device)
    model.eval()
    return model
