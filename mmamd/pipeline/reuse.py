"""Finished stages of other runs, taken over where this run would do just the same."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from mmamd.pipeline.outputs import note, refuse_damage
from mmamd.pipeline.state import RunState


def check_donors(runs: Sequence[str], work_dir: Path) -> None:
    """Raise FileNotFoundError or ValueError unless ``reuse_stages`` names other runs."""
    for run in runs:
        if Path(run).resolve() == work_dir.resolve():
            raise ValueError(f'reuse_stages names {run}, which is the work_dir itself: a run continues with what it '
                             'has; leave it out')
        if not RunState(Path(run)).exists:
            raise FileNotFoundError(f'reuse_stages: {run} is no run, it holds no stages.json; give work_dirs of runs')


def take_over(runs: Sequence[str], stage: str, fingerprint: dict[str, str], work_dir: Path) -> dict | None:
    """Copy what the first of some runs has made of a stage from the very same inputs.

    Checkpoints of epochs stay behind. What a stage leaves elsewhere than in its own folder is not taken over.

    Args:
        runs: Work_dirs.
        stage: Name of the stage.
        fingerprint: Its inputs in this run.
        work_dir: Of this run.

    Returns:
        The stage's entry for ``stages.json``, which says whose it was; None where no run has it.

    Raises:
        OutputDamaged: If the files are not what that run wrote.
    """
    for run in map(Path, runs):
        state = RunState(run)
        if not state.is_finished(stage) or state.changes(stage, fingerprint):
            continue
        entry = state.content['stages'][stage]
        files = list(entry.get('outputs', {}))
        if not files or any(Path(name).parts[0] != stage for name in files):
            continue
        refuse_damage(state, [stage])
        shutil.copytree(run / stage, work_dir / stage, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns('epoch_*.pth', 'last_checkpoint'))
        return {**entry, 'outputs': note(work_dir, files), 'reused_from': str(run)}
    return None
