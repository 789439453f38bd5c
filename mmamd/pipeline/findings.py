"""What a run has found so far, as lines of text, from the JSON files that its stages left."""

from pathlib import Path

from mmamd.files.json_file import read_json
from mmamd.files.training_log import TRAINING, read_log, read_losses
from mmamd.pipeline.state import RunState
from mmamd.selection.bootstrap import standard_error
from mmamd.selection.size_text import size_sentences
from mmamd.structures import Measurement, Selection, scale_key


def finding_lines(state: RunState) -> list[str]:
    """Last losses, what was searched, what refits made good, held-out values and choices, the outcome, what to know."""
    folder = state.path.parent
    return [*_loss_lines(folder, state.of_kind(*TRAINING)), *_search_lines(folder, state.of_kind('kd_zero')),
            *_refit_lines(folder, state.of_kind('refit')), *_selection_lines(folder, state.of_kind('select')),
            *_outcome_lines(folder, state.of_kind('export'), state), *(f'advice: {text}' for text in state.advice)]


def _loss_lines(folder: Path, stages: list[str]) -> list[str]:
    found = {stage: losses for stage in stages if (losses := read_losses(read_log(folder / stage)))}
    if not found:
        return []
    stage, terms = list(found.items())[-1]
    last = ', '.join(f'{network} {curve.values[-1]:.3f}'.strip() for network, curve in terms['loss'].items())
    return [f'{stage}, last losses: {last}']


def _search_lines(folder: Path, stages: list[str]) -> list[str]:
    lines = []
    for stage in stages:
        path = folder / stage / 'trials.json'
        found = {} if not path.is_file() else read_json(path, lambda raw: {
            method: [each['fitness'] for each in trials if each['fitness'] is not None and not each['known']]
            for method, trials in raw.items()})
        told = [f'{len(fitness)} by {"chance" if method == "random" else method}, the best {min(fitness):.4g}'
                for method, fitness in found.items() if fitness]
        lines += [f'{stage}, distillers: {", ".join(told)}'] if told else []
    return lines


def _refit_lines(folder: Path, stages: list[str]) -> list[str]:
    lines = []
    for stage in stages:
        path = folder / stage / 'refit.json'
        if not path.is_file():
            continue
        teacher, networks = read_json(path, lambda raw: (raw['teacher'], sorted(
            (each['scale'], key, each['cut'], each['refit']) for key, each in raw['networks'].items())))
        if teacher is not None:
            values = ', '.join(f'{key} {100 * cut:.2f} -> {100 * refit:.2f}' for _, key, cut, refit in networks)
            lines.append(f'{stage}, held out in percent, cut -> refit: {values}; teacher {100 * teacher:.2f}')
    return lines


def _selection_lines(folder: Path, stages: list[str]) -> list[str]:
    lines, tables = [], set()
    for stage in stages:
        path = folder / stage / 'selection.json'
        if not path.is_file():
            continue
        selection = Selection.load(path)
        reference = selection.reference
        values = ', '.join(f'{m.key} {_measured(m)}' for m in selection.measurements)
        table = f'held out in percent: {values}; {reference.name or "teacher"} {_measured(reference)}'
        lines += [*([] if table in tables else [f'{stage}, {table}']),  # several may choose from one
                  f'{stage}, chosen: {selection.chosen} by the rule {selection.rule}',
                  *(f'{stage}, warning: {text}' for text in selection.warnings)]
        tables.add(table)
    return lines


def _outcome_lines(folder: Path, exports: list[str], state: RunState) -> list[str]:
    path = folder / 'summary.json'
    # That of an earlier outcome is still there while a part of the run is redone.
    if not path.is_file() or not any(map(state.is_finished, exports)):
        return []
    metric, teacher, students, size = read_json(path, lambda raw: (
        raw['metric'], raw['teacher']['value'], [(each['scale'], each['value']) for each in raw['students']],
        size_sentences(raw)))
    shown = [f'student{f" {scale_key(scale)}" if len(students) > 1 else ""} {100 * value:.2f}'
             for scale, value in students]
    return [*size, f'test {metric} in percent: teacher {100 * teacher:.2f}, {", ".join(shown)}']


def _measured(m: Measurement) -> str:
    error = f' +- {100 * standard_error(m.resampled):.2f}' if m.resampled else ''
    return f'{100 * m.value:.2f}{error}'
