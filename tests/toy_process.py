"""A process in the place of the one that a config replays, which a search has to find first."""

from pathlib import Path

from mmengine.config import Config

from mmamd.distillation.losses.distpro import Process
from mmamd.distillation.losses.distpro.pathways import lay_pathways


def with_toy_process(cfg: Config, folder: Path) -> Config:
    """The config, of whose term ``process`` the file is a toy's of as many levels, all of whose weights are 1."""
    process = cfg.model.losses.get('process') or {}
    if process.get('file'):
        names = tuple(own for own, _ in process.layers)
        pathways = lay_pathways('student_ge_teacher', len(names))
        row = (1.,) * len(pathways)
        process.file = str(folder / f'process_of_{len(names)}.json')
        Process(names, names, pathways, (0, 1), (row, row), (row, row)).write(process.file)
    return cfg
