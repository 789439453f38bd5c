"""What a finished stage has left, noted when it finished and held against what is there when a run goes on."""

from collections.abc import Iterable
from pathlib import Path

from mmamd.pipeline.plain import file_digest
from mmamd.pipeline.state import RunState


class OutputDamaged(ValueError):
    """A file that a finished stage has left is missing, or is not what it was."""


def note(work_dir: Path, files: list[str]) -> dict[str, dict]:
    """Size in bytes, time of the last change in nanoseconds and digest of files, by their names in a work_dir."""
    found = {}
    for name in files:
        stat = (work_dir / name).stat()
        found[name] = {'size': stat.st_size, 'mtime_ns': stat.st_mtime_ns, 'digest': file_digest(work_dir / name)}
    return found


def damage(state: RunState, stages: Iterable[str] | None = None) -> list[str]:
    """What is wrong with the files of finished stages, each in a sentence that says which stage to redo.

    A file's content is read only where its size is the same and its time is not, as in a copy. Of stages that an
    earlier version has finished nothing is known, and nothing is said.

    Args:
        state: Of the run.
        stages: Names of the stages to look at; None for all.
    """
    entries, found = state.content['stages'], []
    for stage in entries if stages is None else filter(entries.__contains__, stages):
        for name, noted in entries[stage].get('outputs', {}).items() if entries[stage]['finished'] else ():
            path = state.path.parent / name
            problem = _problem(path, noted)
            if problem:
                found.append(f"{path} {problem}; the stage '{stage}' has made it: redo it with --start-from {stage}")
    return found


def refuse_damage(state: RunState, stages: Iterable[str] | None = None) -> None:
    """Raise :class:`OutputDamaged` for the first thing that :func:`damage` finds; arguments as there."""
    found = damage(state, stages)
    if found:
        more = f' (and {len(found) - 1} more of such files)' if len(found) > 1 else ''
        raise OutputDamaged(found[0] + more)


def _problem(path: Path, noted: dict) -> str | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 'is missing'
    if stat.st_size != noted['size']:
        return f'has {stat.st_size} bytes and had {noted["size"]} when it was written'
    if stat.st_mtime_ns != noted['mtime_ns'] and file_digest(path) != noted['digest']:
        return 'is not what was written: its content has changed'
    return None
