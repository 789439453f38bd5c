"""Files that are written whole or not at all, and what to do about one that is damaged nevertheless."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATE = 'stages.json'  # by which a folder is known for a run's
# In student/, by the stage export, in the order in which they are put in their places: the weights, by which others
# know that there is a student, last.
EXPORTED = ('config.py', 'predict.py', 'student.safetensors', 'model.onnx', 'student.pth')


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A file to write beside ``path``; afterwards it is flushed to the disk and takes its place by one rename.

    A process that is killed, or a disk that is full, leaves what was there before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)  # the rename, too
    finally:
        partial.unlink(missing_ok=True)


def write_whole(content: bytes, path: str | Path) -> None:
    """Write bytes by :func:`written_whole`."""
    with written_whole(path) as partial:
        partial.write_bytes(content)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remedy(path: str | Path) -> str:
    """What to do about a damaged file: which stage of its run to redo, where it is a run's."""
    path = Path(path).absolute()
    if path.name == STATE:
        return 'put a whole copy of it back, or begin the run anew in another --work-dir'
    if (path.parent / STATE).is_file():
        return "delete it and give the run's command again, which writes it anew"
    if path.parent.parent.name == 'teacher_cache':
        return f'delete the folder {path.parent}, and the teacher is asked anew'
    stage = stage_of(path)
    if stage is not None:
        return f"redo the stage that made it: the run's command with --start-from {stage}"
    return 'put a whole copy of it there, or name another file'


def stage_of(path: Path) -> str | None:
    """The stage of a run that has left a file; None for a file that is no run's."""
    folder = next((folder for folder in list(path.parents)[:2] if (folder.parent / STATE).is_file()), None)
    if folder is None:
        return None
    return 'export' if folder.name == 'student' and path.name in EXPORTED else folder.name
