"""Another choice of the assistant from the table that a run has stored, without training or evaluating anything."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from mmamd.checks import COUNT, NOTHING, TEXT, check
from mmamd.checks import number as at_least
from mmamd.files.run_config import FOR_PEOPLE, import_custom, read_run_config
from mmamd.pipeline.lock import WorkDirLock
from mmamd.pipeline.outputs import note
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import read_status
from mmamd.selection.choice import replay
from mmamd.selection.table import format_table
from mmamd.structures import Network, Selection
from mmamd.visualization import plot_selection, read_run
from mmamd.weights.networks import read_judged, save_networks


@dataclass(frozen=True)
class Replay:
    """A stage's selection as it is and as another rule would make it.

    Attributes:
        work_dir: Folder of the run.
        stage: ``'select'``, ``'select_2'``, ...
        before: The stored selection.
        after: The selection by the other rule, from the same measurements.
        networks: What it judged, by key.
    """

    work_dir: Path
    stage: str
    before: Selection
    after: Selection
    networks: dict[str, Network]

    @property
    def is_same(self) -> bool:
        """Whether both choose the same network; what follows then is the same, too."""
        return self.before.chosen == self.after.chosen


def replay_stage(work_dir: str | Path, rule: str, number: int = 1, lam: float | None = None,
                 scale: float | str | None = None) -> Replay:
    """Apply a rule to the table of the n-th selection of a run.

    Args:
        work_dir: Folder of the run.
        rule: As for :func:`mmamd.selection.choice.choose`.
        number: Which selection of the run, counted from 1.
        lam: Of ``lambda_tradeoff``; that of the stored selection by default.
        scale: The choice of ``manual``.

    Raises:
        FileNotFoundError: If the run has no such selection.
        ValueError: If the rule or its options are none; see :func:`mmamd.selection.choice.choose`.
    """
    check('rule', rule, TEXT)
    check('round', number, COUNT)
    check('lam', lam, at_least(0.) | NOTHING)
    check('scale', scale, TEXT | at_least(0., most=1.) | NOTHING)
    work_dir = Path(work_dir)
    state = RunState(work_dir)
    finished = [name for name in state.of_kind('select') if state.is_finished(name)]
    if not 1 <= number <= len(finished):
        raise FileNotFoundError(f'{work_dir} has no finished selection number {number} (--round {number}), so no table '
                                f'to choose from; finished selections: {finished or "none"}')
    stage = finished[number - 1]
    import_custom(read_run_config(work_dir), work_dir)  # for a rule of theirs
    before = Selection.load(work_dir / stage / 'selection.json')
    return Replay(work_dir, stage, before, replay(before, rule, lam, scale), read_judged(work_dir, stage))


def write_replay(found: Replay) -> None:
    """Make the other choice the run's: ``selection.json`` and its picture. The measurements stay, so it can be undone.

    Raises:
        WorkDirTaken: If the run is going on.
    """
    folder = found.work_dir / found.stage
    with WorkDirLock(found.work_dir):
        # First what others read: where this is cut short, they are refused, and the table can be replayed again.
        save_networks(found.work_dir, found.stage, {found.after.chosen: found.networks[found.after.chosen]})
        found.after.save(folder / 'selection.json')
        run = read_run(found.work_dir)
        plot_selection(found.after, run.scale_of, folder / 'selection.png', has_student=run.is_smallest_student,
                       are_slices=run.are_slices(found.stage))
        state = RunState(found.work_dir)
        outputs = state.content['stages'][found.stage].get('outputs', {})
        state.finish(found.stage, note(found.work_dir, list(outputs)))


def redo_command(found: Replay) -> str:
    """The command that redoes what the choice decides, quoted for a shell; with as many processes as before."""
    status = read_status(found.work_dir)
    names = [stage.name for stage in status.snapshot.stages]
    config = str(found.work_dir / FOR_PEOPLE)
    start = (['python', 'tools/train.py', config] if status.world_size == 1 else
             ['tools/dist_train.sh', config, str(status.world_size)])
    return shlex.join([*start, '--work-dir', str(found.work_dir),
                       '--start-from', names[names.index(found.stage) + 1]])


def format_replay(found: Replay, written: bool) -> str:
    """The table under the other rule, what the choice was and would be, and what to do about it."""
    old, new = found.before.chosen, found.after.chosen
    costs = {key: network.cost for key, network in found.networks.items()}
    lines = [format_table(found.after, costs), '']
    if found.is_same:
        lines.append(f'{found.stage}: {found.after.rule} chooses {new}, as {found.before.rule} did; nothing to change')
    elif written:
        lines += [f'{found.stage}: the choice was {old} ({found.before.rule}) and is {new} ({found.after.rule}) '
                  'now. What follows from it is still the old; redo it with',
                  f'    {redo_command(found)}']
    else:
        lines.append(f'{found.stage}: the choice is {old} ({found.before.rule}) and would be {new} '
                     f'({found.after.rule}); nothing was written, --write makes it so')
    return '\n'.join(lines)
