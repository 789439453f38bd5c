"""What a run found, as one file, one table and one report."""

import functools
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mmcv
import mmengine
import mmpretrain
import torch
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.registry import VISUALIZERS

from mmamd.files.json_file import read_json, write_json
from mmamd.pipeline.console import aligned
from mmamd.pipeline.context import BLACK_BOX, Context
from mmamd.pipeline.shares import shares_of_students
from mmamd.pipeline.sizing import size_found
from mmamd.pipeline.stages.black_box import FILE as HELD_OUT
from mmamd.pipeline.state import RunState
from mmamd.pipeline.tensorboard import in_one_folder
from mmamd.selection.bootstrap import standard_error
from mmamd.selection.size_text import size_sentences
from mmamd.selection.table import Row, amount_text, rows_of, signed
from mmamd.structures import Network, Selection, scale_key
from mmamd.version import __version__
from mmamd.visualization import Run, publish, read_run, write_report
from mmamd.visualization.report import overlap_warnings
from mmamd.weights.networks import find_network, read_judged, read_networks


def summarise(context: Context, state: RunState, say: Callable[[str], None]) -> dict:
    """Write ``summary.json`` and ``report.html``, print the table, and return the summary (on every rank).

    The pictures of the report go to the configured visualizer, once for every outcome: ``export/pictures/``.
    """
    path = context.work_dir / 'summary.json'
    if is_main_process():
        summary = _collect(context, state)
        write_json(path, summary)
        warnings = list(dict.fromkeys(text for name in state.of_kind('select') for text in Selection.load(
            context.work_dir / name / 'selection.json').warnings))  # several may have chosen from one table
        say(format_summary(summary, [context.work_dir / name / 'selection.png' for name in state.of_kind('select')],
                           warnings, state.advice))
        run = read_run(context.work_dir)
        write_report(run, context.work_dir / 'report.html')
        say(f'report: {context.work_dir / "report.html"}')
        _show(run, context)
    barrier()
    return read_json(path)


def _show(run: Run, context: Context) -> None:
    # The folder goes with the stage export when that is redone; a run that is only looked at again adds nothing.
    folder = context.work_dir / 'export' / 'pictures'
    if not context.cfg.get('visualizer') or folder.exists():
        return
    # The host keeps visualizers by their names and would hand back that of an earlier run.
    settings = in_one_folder(context.cfg.visualizer, context.work_dir, 'export/pictures')
    visualizer = VISUALIZERS.build({'save_dir': str(folder), **settings,
                                    'name': f'{context.work_dir.name}_pictures_{time.time_ns()}'})
    publish(run, visualizer)
    visualizer.close()
    folder.mkdir(parents=True, exist_ok=True)


def _collect(context: Context, state: RunState) -> dict:
    test = read_json(context.work_dir / 'export' / 'test_metrics.json')
    metric, unit, stages = context.metric, context.unit, state.content['stages']

    def outcome(name: str, network: Network) -> dict:
        return {'value': test[name][metric] / unit, 'macs': network.cost.macs, 'params': network.cost.params}

    delivered = read_networks(context.work_dir, 'export')
    macs, seconds = (shares_of_students(context.stages, list(delivered), {
        name: entry[unit] for name, entry in stages.items()}) for unit in ('macs', 'seconds'))
    students = [{'name': name, 'scale': network.scale, **outcome(name, network), 'path': network.weights,
                 'cost': {'macs': macs[i], 'seconds': round(seconds[i], 1)}}
                for i, (name, network) in enumerate(delivered.items())]
    size, other = size_found(context.work_dir, state), context.black_box
    judged = {} if other is None else {'black_box': outcome(BLACK_BOX, find_network(context.work_dir, BLACK_BOX)) | {
        'held_out': read_json(context.work_dir / BLACK_BOX / HELD_OUT)[metric]}}
    return {
        'metric': metric, 'method': state.content['method'],
        'teacher': outcome('teacher', find_network(context.work_dir, 'nest')), **judged,
        'selections': [_selection(context, name, metric, unit) for name in state.of_kind('select')],
        'student': students[0], 'students': students, **({} if size is None else {'size': size}),
        'recalibration_images': context.num_recalibration,
        'cost': {'trainings': sum(stage.trainings(context.work_dir) for stage in context.stages),
                 'macs': sum(entry['macs'] for entry in stages.values()),
                 'seconds': round(sum(entry['seconds'] for entry in stages.values()), 1)},
        'stages': {name: {'kind': entry['kind'], 'macs': entry['macs'], 'seconds': round(entry['seconds'], 1)}
                   for name, entry in stages.items()},
        'record': {'commit': source_commit(), 'versions': _versions(), 'seed': context.seed, 'command': _command(),
                   'images': {split: {'images': images.num, 'digest': images.digest}
                              for split in ('train', 'val', 'test') for images in [context.images(split)]},
                   'overlaps': context.overlaps},
    }


def _selection(context: Context, stage: str, metric: str, unit: float) -> dict:
    folder = context.work_dir / stage
    selection = Selection.load(folder / 'selection.json')
    test = {key.removesuffix(f'/{metric}'): value / unit for key, value in
            read_json(folder / 'test_metrics.json').items() if key.endswith(f'/{metric}')}
    costs = {key: network.cost for key, network in read_judged(context.work_dir, stage).items()}
    rows = rows_of(selection, costs, test)
    chosen = next(row for row in rows if row.is_chosen)
    reference = selection.reference
    own = stage.rpartition('_')[2]
    for_student = {'student': own} if own in map(scale_key, context.students) else {}
    return {'stage': stage, **for_student, 'rule': selection.rule, 'candidates': [_entry(row) for row in rows],
            'reference': {'name': reference.name or 'teacher', 'value': reference.value,
                          'stderr': standard_error(reference.resampled) if reference.resampled else None,
                          'test_value': test.get(reference.name or 'teacher')},
            'chosen': {'name': chosen.name, 'scale': chosen.scale, 'value': chosen.test_value}}


def _entry(row: Row) -> dict:
    return {'name': row.name, 'scale': row.scale, 'macs': row.macs, 'params': row.params, 'value': row.value,
            'stderr': row.stderr, 'scores': row.scores, 'test_value': row.test_value,
            **({'collapsed': row.collapsed} if row.collapsed else {})}


def format_summary(summary: dict, pictures: list[Path], warnings: Sequence[str] = (),
                   advice: Sequence[str] = ()) -> str:
    """The summary as a table of lines, with what to know of the choices; performances in percent of the metric's range.
    """
    students, teacher, cost = summary['students'], summary['teacher'], summary['cost']
    several = len(students) > 1
    names = [_student_name(student, several) for student in students]
    lines = ['', *aligned(_networks(summary))]
    lines += [*(f'{summary["metric"]} in percent; {name if several else "the student"} has '
                f'{_share(student, teacher):.1%} of the teacher on the test images, at '
                f'{student["macs"] / teacher["macs"]:.1%} of its MACs'
                for name, student in zip(names, students, strict=True)),
              *(text.rstrip('.') for text in size_sentences(summary)),
              *_recalibration_line(summary['recalibration_images']),
              *(f'warning: {text[:1].lower()}{text[1:-1]}' for text in overlap_warnings(summary)),
              *(f'warning: {text}' for text in warnings), *(f'advice: {text}' for text in advice),
              f'cost: {cost["trainings"]} trainings, {amount_text(round(cost["macs"]))} MACs, {cost["seconds"]:.0f} s',
              *(f'    {name}: {amount_text(round(student["cost"]["macs"]))} MACs, {student["cost"]["seconds"]:.0f} s'
                for name, student in zip(names * several, students * several, strict=True)),
              'seconds: ' + ', '.join(f'{name} {stage["seconds"]:.0f}' for name, stage in summary['stages'].items()),
              *(f'student: {student["path"]}' for student in students)]
    lines += [f'picture: {picture}' for picture in pictures]
    return '\n'.join(lines)


def _networks(summary: dict) -> list[list[str]]:
    """The table of all networks, its header first."""
    rule = next((shown_rule(found) for found in summary['selections']), 'npsd')
    rows = [['network', 'scale', 'MACs', 'params', 'held out', rule, 'test']]

    def add(name: str, scale: float | None, cost: dict, held_out: str = '', score: float | None = None,
            test: float | None = None) -> None:
        rows.append([name, '' if scale is None else f'{scale:.2f}', amount_text(cost['macs']),
                     amount_text(cost['params']), held_out, '' if score is None else signed(score), _percent(test)])

    if other := summary.get('black_box'):
        add('black-box teacher', None, other, _percent(other['held_out']), test=other['value'])
    held_out = next((_held_out(found['reference']) for found in summary['selections']
                     if found['reference']['name'] == 'teacher'), _percent(summary.get('size', {}).get('teacher')))
    add('teacher', 1., summary['teacher'], held_out, test=summary['teacher']['value'])
    tables, students = tables_of(summary['selections']), summary['students']
    for number, (candidates, chosen_by) in enumerate(tables, 1):
        place = f' {number}' if len(tables) > 1 else ''
        for c in reversed(candidates):
            name = ('chosen' if c['name'] in chosen_by else 'collapsed' if 'collapsed' in c else 'candidate') + place
            of = _students_named(list(filter(None, chosen_by.get(c['name'], ()))), len(students))
            own = '' if c['name'].replace('.', '').isdigit() else f' {c["name"]}'
            add(name + own + f' for {of}' * bool(of), c['scale'], c, _held_out(c), c['scores'].get(rule),
                c['test_value'])
    tried = {each['scale']: each.get('value') for each in summary.get('size', {}).get('tried', ())}
    for student in students:
        add(_student_name(student, len(students) > 1), student['scale'], student,
            _percent(tried.get(student['scale'])), test=student['value'])
    return rows


def _students_named(scales: list[str], num: int) -> str:
    """Some of so many students, in few letters."""
    if len(scales) < 3:
        return ', '.join(scales)
    return 'all' if len(scales) == num else f'{len(scales)} students'


def _student_name(student: dict, several: bool) -> str:
    return f'student {scale_key(student["scale"])}' if several else 'student'


def tables_of(selections: list[dict]) -> list[tuple[list[dict], dict[str, list[str]]]]:
    """The tables of what was judged, each once: candidates, with the scores that any choice has given them, and
    name of a chosen one -> the students that it was chosen for (nothing of a run of one student)."""
    found: list[tuple[list[dict], dict[str, list[str]]]] = []
    for selection in selections:
        measured = [(c['name'], c['value'], c['stderr']) for c in selection['candidates']]
        table = next((each for each in found if measured == [(c['name'], c['value'], c['stderr'])
                                                              for c in each[0]]), None)
        if table is None:
            table = [dict(c) for c in selection['candidates']], {}
            found.append(table)
        for c, own in zip(table[0], selection['candidates'], strict=True):
            c['scores'] = own['scores'] | c['scores']
        table[1].setdefault(selection['chosen']['name'], []).append(selection.get('student', ''))
    return found


def _share(student: dict, teacher: dict) -> float:
    return student['value'] / teacher['value'] if teacher['value'] else float('nan')


def _percent(value: float | None) -> str:
    return '' if value is None else f'{100 * value:.2f}'


def _held_out(judged: dict) -> str:
    """Performance on the held-out images, in percent, with its standard error."""
    error = '' if judged['stderr'] is None else f' +- {100 * judged["stderr"]:.2f}'
    return f'{100 * judged["value"]:.2f}{error}'


def shown_rule(found: dict) -> str:
    """The rule whose scores are shown of a selection: that which chose, or the first of the table."""
    scored = [name for candidate in found['candidates'] for name in candidate['scores']]
    return found['rule'] if found['rule'] in scored else scored[0]


def _recalibration_line(num_images: int) -> list[str]:
    return [f'batch norms of each candidate recalibrated on {num_images} training images'] if num_images else []


def _command() -> str:
    """What was typed, quoted for a shell.

    The script is named from the folder of the package, a repository or site-packages, downwards.
    """
    script = Path(sys.argv[0]).resolve()
    root = Path(__file__).resolve().parents[2]
    name = str(script.relative_to(root)) if script.is_relative_to(root) else script.name
    launcher = [f'torchrun --nproc_per_node={get_world_size()}'] if get_world_size() > 1 else []
    return shlex.join([*launcher, name, *sys.argv[1:]])


@functools.cache
def source_commit() -> str | None:
    """Commit of the source tree that runs, marked when the tree differs from it; None outside a repository.

    It is that of the first call: a runner asks before it begins, as the tree may change while it trains.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():
        return None
    try:
        found = subprocess.run(['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=12'],
                               capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {'mmamd': __version__, 'python': platform.python_version(), 'torch': torch.__version__,
                'mmengine': mmengine.__version__, 'mmcv': mmcv.__version__, 'mmpretrain': mmpretrain.__version__}
    try:
        versions['torchvision'] = version('torchvision')
    except PackageNotFoundError:
        versions['torchvision'] = 'absent'
    return versions
