"""What a run has left in its work_dir, read for drawing; a run may be finished, interrupted or going on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmengine.config import Config

from mmamd.files.json_file import read_json
from mmamd.files.run_config import FILE, FOR_PEOPLE, read_run_config
from mmamd.files.training_log import TRAINING, Losses, read_log, read_losses
from mmamd.selection.table import Row, rows_of
from mmamd.structures import CandidateFamily, Importance, Maps, Network, Selection, advice_of, check_run_format
from mmamd.visualization.bench_table import FILE as BENCH
from mmamd.visualization.bench_table import read_bench
from mmamd.visualization.class_plot import ClassValues
from mmamd.visualization.distance_plot import Distances, read_distances, with_others
from mmamd.visualization.examples_plot import Examples
from mmamd.visualization.refit_plot import Refitted
from mmamd.visualization.scenes_plot import Scenes
from mmamd.visualization.searched import (
    Pathways,
    Retrained,
    Searched,
    read_pathways,
    read_retrained,
    read_searched,
)
from mmamd.visualization.students import Student, students_of
from mmamd.visualization.units import scale_of
from mmamd.weights.networks import read_judged


@dataclass(frozen=True)
class Run:
    """The files of a work_dir as data. What is not there yet is None or empty.

    Attributes:
        work_dir: The folder.
        stages: Stage -> what ``stages.json`` says of it, its kind among it, in the order of the run.
        seed: The run's seed.
        method: Name of its method.
        delivered: References to the networks that it delivers.
        config: The config, None if the run has not written it.
        config_text: The same as it was written.
        importance: Of the stage score.
        family: Of the stage nest.
        selections: Stage -> its selection, for each choice that has been made, in order.
        judged: Stage -> the networks that it has judged, by their keys.
        refits: Stage -> what it has made good, for each refit that has been done.
        losses: Stage -> its loss curves, for each training that has logged some.
        distances: Stage -> distances of a ScaleKD term, for each training that has logged some; where there are runs
            beside this one, theirs too, each with the name of its folder.
        shown: Stage -> pictures of its terms, of some test images.
        examples: Test images and predictions of the stage export.
        bench: What was timed of its networks, once somebody has (:func:`mmamd.bench`).
        scenes: The same where each pixel has a class.
        class_values: What each network is worth on each class, where the task measures it.
        summary: The content of ``summary.json``, once the run is finished.
        searches: Stage -> what it has tried, for each search of distillers that has tried some.
        retrained: Stage -> genome -> students that were trained to their end by a distiller of its search.
        processes: Stage -> the process that it has found.
        advice: What would make the run better, as it was noticed.
    """

    work_dir: Path
    stages: dict[str, dict]
    seed: int | None
    method: str | None
    delivered: list[str]
    config: Config | None
    config_text: str
    importance: Importance | None
    family: CandidateFamily | None
    selections: dict[str, Selection]
    judged: dict[str, dict[str, Network]]
    refits: dict[str, Refitted]
    losses: dict[str, Losses]
    distances: dict[str, Distances]
    shown: dict[str, list[Maps]]
    examples: Examples | None
    bench: dict | None
    scenes: Scenes | None
    class_values: ClassValues | None
    summary: dict | None
    searches: dict[str, Searched]
    retrained: dict[str, dict[str, Retrained]]
    processes: dict[str, Pathways]
    advice: list[str] = field(default_factory=list)

    @property
    def assistants(self) -> dict[str, Selection]:
        """Stage -> its selection, of networks that are chosen on the way to what is delivered."""
        return {stage: selection for stage, selection in self.selections.items() if stage not in self.delivered}

    @property
    def is_student_a_candidate(self) -> bool:
        """Whether the student is the smallest candidate; one of another architecture is none of them."""
        return self.config is None or not self.config.compression.get('student_architecture')

    @property
    def scale_of(self) -> str:
        """What scales are fractions of, as people say it; nothing before there are candidates."""
        return scale_of(self.family) if self.family else ''

    @property
    def students(self) -> list[Student]:
        """What is delivered, ascending by scale; none as long as nothing is known of it."""
        named = None if self.config is None else self.config.compression.get('student_scale')
        return students_of(self.summary, self.family if self.is_student_a_candidate else None, named, self.bench)

    @property
    def is_smallest_student(self) -> bool:
        """Whether the smallest candidate is a student."""
        return self.is_student_a_candidate and self.family is not None and self.family.student.key in [
            student.key for student in self.students]

    def student_of(self, stage: str) -> str:
        """Key of the student that a stage is made for, where there are several; else nothing."""
        key = stage.rpartition('_')[2]
        return key if len(self.students) > 1 and key in [student.key for student in self.students] else ''

    @property
    def tables(self) -> dict[str, list[str]]:
        """Stage that has judged networks -> all stages that have chosen by its measurements, itself the first."""
        found: dict[str, list[str]] = {}
        for stage, selection in self.selections.items():
            first = next((name for name in found if self.selections[name].measurements == selection.measurements
                          and self.selections[name].reference == selection.reference), stage)
            found.setdefault(first, []).append(stage)
        return found

    @property
    def planned_macs(self) -> dict[str, float]:
        """Stage -> arithmetic that was planned for it, in MACs; empty for a run that has not noted it."""
        return {name: stage['planned_macs'] for name, stage in self.stages.items() if 'planned_macs' in stage}

    def is_joint(self, stage: str) -> bool:
        """Whether a training has logged losses of several networks."""
        return len({network for curves in self.losses[stage].values() for network in curves}) > 1

    def are_slices(self, stage: str) -> bool:
        """Whether the networks of a selection share their weights."""
        return len({network.weights for network in self.judged.get(stage, {}).values()}) <= 1

    def rows(self, stage: str, *others: str) -> list[Row]:
        """The table of a selection; with the scores that others have given by the same measurements."""
        costs = {key: network.cost for key, network in self.judged.get(stage, {}).items()}
        test = {}
        for found in self.summary['selections'] if self.summary else ():
            if found['stage'] == stage:
                test = {c['name']: c['test_value'] for c in found['candidates']}
        rows = rows_of(self.selections[stage], costs, test)
        again = [self.rows(other) for other in others]
        return [replace(row, scores={k: v for each in (*again, rows) for k, v in each[i].scores.items()})
                for i, row in enumerate(rows)]

    def is_finished(self, stage: str) -> bool:
        return self.stages.get(stage, {}).get('finished', False)

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of the stages of some kinds, in the order of the run."""
        return [name for name, entry in self.stages.items() if entry['kind'] in kinds]


def read_run(work_dir: str | Path, retrained: Sequence[str | Path] = (), beside: Sequence[str | Path] = ()) -> Run:
    """Read the files of a run; nothing is written.

    Args:
        retrained: Other runs, finished, whose students were trained by distillers that this one has searched.
        beside: Other runs whose distances are drawn beside those of this one.

    Raises:
        FileNotFoundError: A folder holds no run, or a run of ``retrained`` is not finished.
        ValueError: A run is that of another version, one of ``retrained`` has trained by none of its distillers, or one
            of ``beside`` has logged no distance in a stage that has some here.
    """
    folder = Path(work_dir)
    state = _state_of(folder)
    stages = state['stages']
    # A stage that was redone is read from what it has written since; files of a stage that is not there are stale.
    selections = {name: _load(Selection.load, folder / name / 'selection.json') for name, entry in stages.items()
                  if entry['kind'] == 'select'}
    logs = {name: read_log(folder / name) for name, entry in stages.items() if entry['kind'] in TRAINING}
    losses, distances = ({name: read(rows) for name, rows in logs.items()} for read in (read_losses, read_distances))
    searches = _found({name: read_searched(folder / name) for name, entry in stages.items()
                       if entry['kind'] == 'kd_zero'})
    refits = {name: _load(Refitted.load, folder / name / 'refit.json') for name, entry in stages.items()
              if entry['kind'] == 'refit'}
    # The folder of the one stage of a kind, or one that is not there.
    score, nest, export = (folder / next((name for name, entry in stages.items() if entry['kind'] == kind), kind)
                           for kind in ('score', 'nest', 'export'))
    # That of an earlier outcome is still there while a part of the run is redone.
    is_over = stages.get(export.name, {}).get('finished') and (folder / 'summary.json').is_file()
    return Run(
        work_dir=folder, stages=stages, seed=state['seed'], method=state.get('method'),
        delivered=state.get('delivered', []),
        config=read_run_config(folder) if any((folder / name).is_file() for name in (FILE, FOR_PEOPLE)) else None,
        config_text=_load(Path.read_text, folder / FOR_PEOPLE) or '',
        importance=_load(Importance.load, score / 'importance.json'),
        family=_load(CandidateFamily.load, nest / 'family.json'),
        selections=_found(selections),
        judged={name: read_judged(folder, name) for name in selections if (folder / name / 'judged.json').is_file()},
        refits=_found(refits),
        losses={name: curves for name, curves in losses.items() if curves},
        distances=with_others(folder, {name: curves for name, curves in distances.items() if curves},
                              {other: _distances_of(other) for other in map(Path, beside)}),
        shown=_load(_read_shown, export / 'terms.json') or {},
        examples=_load(Examples.load, export / 'examples.json'),
        bench=_load(read_bench, export / BENCH),
        scenes=_load(Scenes.load, export / 'scenes.json'),
        class_values=_load(ClassValues.load, export / 'classes.json'),
        advice=advice_of(state),
        summary=read_json(folder / 'summary.json') if is_over else None,
        searches=searches,
        retrained={name: read_retrained(searched, [*([folder] if is_over and stages[name]['finished'] else []),
                                                   *map(Path, retrained)]) for name, searched in searches.items()},
        processes=_found({name: read_pathways(folder / name) for name, entry in stages.items()
                          if entry['kind'] == 'distpro'}))


def _state_of(folder: Path) -> dict:
    if not (folder / 'stages.json').is_file():
        raise FileNotFoundError(f'{folder} holds no stages.json, so it is no work_dir of a run; give the --work-dir '
                                'that the run was started with')
    state = read_json(folder / 'stages.json')
    check_run_format(state, folder)
    return state


def _distances_of(folder: Path) -> dict[str, Distances]:
    return {stage: read_distances(read_log(folder / stage)) for stage in _state_of(folder)['stages']}


def _read_shown(path: Path) -> dict[str, list[Maps]]:
    return read_json(path, lambda raw: {stage: [Maps(**each) for each in shown] for stage, shown in raw.items()})


def _found(of_stages: dict) -> dict:
    """Those stages that have something."""
    return {name: found for name, found in of_stages.items() if found is not None}


def _load(read, path: Path):
    return read(path) if path.is_file() else None
