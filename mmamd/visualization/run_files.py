"""What a run has left in its work_dir, read for drawing; a run may be finished, interrupted or going on."""

import json
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmamd.structures import CandidateFamily, Cost, Importance, Selection
from mmamd.visualization.examples_plot import Examples
from mmamd.visualization.loss_plot import Losses, read_losses

TRAINING = ('teacher', 'joint', 'student')  # stages that train, apart from their number


@dataclass(frozen=True)
class Run:
    """The files of a work_dir as data. What is not there yet is None or empty.

    Attributes:
        work_dir: The folder.
        stages: Stage -> what ``stages.json`` says of it, in the order of the run.
        seed: The run's seed.
        config: The config, None if the run has not written it.
        config_text: The same as it was written.
        importance: Of the stage score.
        family: Of the stage nest.
        selections: Stage -> its selection, for each assistant that has been chosen, in order.
        losses: Stage -> its loss curves, for each training that has logged some.
        examples: Test images and predictions of the stage export.
        summary: The content of ``summary.json``, once the run is finished.
    """

    work_dir: Path
    stages: dict[str, dict]
    seed: int | None
    config: Config | None
    config_text: str
    importance: Importance | None
    family: CandidateFamily | None
    selections: dict[str, Selection]
    losses: dict[str, Losses]
    examples: Examples | None
    summary: dict | None

    @property
    def assistants(self) -> tuple[float, ...]:
        """Scales of the assistants that have been chosen."""
        return tuple(selection.assistant for selection in self.selections.values())

    @property
    def num_assistants(self) -> int:
        """How many teacher assistants the run has when it is finished."""
        return 1 if self.config is None else self.config.compression.get('num_assistants', 1)

    @property
    def is_student_a_candidate(self) -> bool:
        """Whether the student is the smallest candidate; one of another architecture is none of them."""
        return self.config is None or not self.config.model.get('student_architecture')

    @property
    def student_cost(self) -> Cost | None:
        """What the student costs; None before that is known."""
        if not self.is_student_a_candidate:
            return self.summary and Cost(self.summary['student']['macs'], self.summary['student']['params'])
        return self.family and self.family.student.cost

    @property
    def planned_macs(self) -> dict[str, float]:
        """Stage -> arithmetic that was planned for it, in MACs; empty for a run that has not noted it."""
        return {name: stage['planned_macs'] for name, stage in self.stages.items() if 'planned_macs' in stage}

    def is_finished(self, stage: str) -> bool:
        return self.stages.get(stage, {}).get('finished', False)


def read_run(work_dir: str | Path) -> Run:
    """Read the files of a run; nothing is written.

    Raises:
        FileNotFoundError: ``work_dir`` holds no run.
    """
    folder = Path(work_dir)
    if not (folder / 'stages.json').is_file():
        raise FileNotFoundError(f'{folder} holds no stages.json, so it is no work_dir of a run; give the --work-dir '
                                'that the run was started with')
    state = json.loads((folder / 'stages.json').read_text())
    stages = state['stages']
    config = folder / 'run_config.py'
    # A stage that was redone is read from what it has written since; files of a stage that is not there are stale.
    selections = {name: _load(Selection.load, folder / name / 'selection.json') for name in stages
                  if kind_of(name) == 'select'}
    losses = {name: read_losses(read_log(folder / name)) for name in stages if kind_of(name) in TRAINING}
    return Run(
        work_dir=folder, stages=stages, seed=state['seed'],
        config=_load(lambda path: Config.fromfile(path, import_custom_modules=False), config),
        config_text=_load(Path.read_text, config) or '',
        importance=_load(Importance.load, folder / 'score' / 'importance.json'),
        family=_load(CandidateFamily.load, folder / 'nest' / 'family.json'),
        selections={name: selection for name, selection in selections.items() if selection is not None},
        losses={name: curves for name, curves in losses.items() if curves},
        examples=_load(Examples.load, folder / 'export' / 'examples.json'),
        # That of an earlier outcome is still there while a part of the run is redone.
        summary=(_load(lambda path: json.loads(path.read_text()), folder / 'summary.json')
                 if stages.get('export', {}).get('finished') else None))


def read_log(folder: Path) -> list[dict]:
    """Rows of a stage's training log, ascending by ``'step'``.

    Every start of a stage logs to a folder of its own, named after its time. A stage that was interrupted goes on from
    its last whole epoch, so what was logged after that point is replaced by the later start's rows.
    """
    rows: list[dict] = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        started = [row for row in map(json.loads, _whole_lines(path)) if 'loss' in row]
        if started:
            rows = [row for row in rows if row['step'] < started[0]['step']] + started
    return rows


def _whole_lines(path: Path) -> list[str]:
    # A run that is going on may be in the middle of its last line.
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith('}\n')]


def kind_of(stage: str) -> str:
    """What a stage is, apart from its number: ``'joint_2'`` -> ``'joint'``."""
    name, _, number = stage.rpartition('_')
    return name if number.isdigit() else stage


def _load(read, path: Path):
    return read(path) if path.is_file() else None
