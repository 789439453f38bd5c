"""What a run found, as one file, one table and one report."""

import copy
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mmcv
import mmengine
import mmpretrain
import torch
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.registry import VISUALIZERS

from mmamd.pipeline.settings import is_hook
from mmamd.pipeline.stages import Context, numbered, read_json
from mmamd.pipeline.state import RunState
from mmamd.selection.npsd import standard_error
from mmamd.selection.table import amount_text
from mmamd.structures import Selection, write_json
from mmamd.version import __version__
from mmamd.visualization import Run, publish, read_run, write_report

_GROUPS = ('teacher', 'score', 'joint', 'select', 'student', 'export')


def summarise(context: Context, state: RunState, stage_names: list[str], say: Callable[[str], None]) -> dict:
    """Write ``summary.json`` and ``report.html``, print the table, and return the summary (on every rank).

    The pictures of the report go to the configured visualizer, once for every outcome: ``export/pictures/``.
    """
    path = context.work_dir / 'summary.json'
    if is_main_process():
        summary = _collect(context, state, stage_names)
        write_json(path, summary)
        say(format_summary(summary, sorted(context.work_dir.glob('select*/selection.png'))))
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
    visualizer = VISUALIZERS.build({'save_dir': str(folder), **copy.deepcopy(context.cfg.visualizer),
                                    'name': f'{context.work_dir.name}_pictures_{time.time_ns()}'})
    publish(run, visualizer)
    visualizer.close()
    folder.mkdir(parents=True, exist_ok=True)


def _collect(context: Context, state: RunState, stage_names: list[str]) -> dict:
    cfg, family = context.cfg, context.family
    hook = next((hook for hook in cfg.get('custom_hooks', []) if is_hook(hook, 'NPSDSelectionHook')), {})
    metric = hook.get('metric', 'accuracy/top1')
    unit = 100. if hook.get('percent', True) else 1.
    test = read_json(context.work_dir / 'export' / 'test_metrics.json')
    student = context.student
    seconds = {group: round(sum(state.seconds(name) for name in stage_names
                                if name == group or name.startswith(f'{group}_') or (name, group) == ('nest', 'score')),
                            1) for group in _GROUPS}
    return {
        'metric': metric,
        'teacher': {'value': test['teacher'][metric] / unit, 'macs': family.teacher_cost.macs,
                    'params': family.teacher_cost.params},
        'rounds': [_round(context, number, metric, unit)
                   for number in range(1, context.facts.compression.num_assistants + 1)],
        'student': {'scale': student.scale, 'value': test['student'][metric] / unit, 'macs': student.cost.macs,
                    'params': student.cost.params, 'path': str(context.work_dir / 'student' / 'student.pth')},
        'recalibration_images': context.facts.recalibration,
        'seconds': seconds,
        'record': {'commit': _commit(), 'versions': _versions(), 'seed': context.seed, 'command': _command(),
                   'dataset fingerprint': context.facts.datasets},
    }


def _round(context: Context, number: int, metric: str, unit: float) -> dict:
    folder = context.work_dir / numbered('select', number)
    selection = Selection.load(folder / 'selection.json')
    test = {key: value / unit for key, value in read_json(folder / 'test_metrics.json').items()}
    candidates = []
    for measurement, npsd in zip(selection.measurements, selection.scores['npsd'], strict=True):
        candidate = context.family.at(measurement.scale)
        candidates.append({
            'scale': candidate.scale, 'macs': candidate.cost.macs, 'params': candidate.cost.params,
            'units': candidate.units, 'value': measurement.value, 'stderr': standard_error(measurement.resampled),
            'npsd': npsd, 'test_value': test.get(f'{candidate.key}/{metric}')})
    chosen = context.family.at(selection.assistant)
    return {'candidates': candidates,
            'assistant': {'scale': chosen.scale, 'value': test.get(f'{chosen.key}/{metric}')}}


def format_summary(summary: dict, pictures: list[Path]) -> str:
    """The summary as a table of lines; performances in percent of the metric's range."""
    lines = ['', f'{"network":<24}{"scale":>6}{"MACs":>11}{"params":>11}{"held out":>16}{"NPSD":>9}{"test":>8}']

    def row(name: str, scale: float, cost: dict, held_out: str = '', npsd: float | None = None,
            test: float | None = None) -> str:
        score = '' if npsd is None else f'{npsd:+.4f}'
        value = '' if test is None else f'{100 * test:.2f}'
        return (f'{name:<24}{scale:>6.2f}{amount_text(cost["macs"]):>11}{amount_text(cost["params"]):>11}{held_out:>16}'
                f'{score:>9}{value:>8}')

    lines.append(row('teacher', 1., summary['teacher'], test=summary['teacher']['value']))
    for number, found in enumerate(summary['rounds'], 1):
        for c in reversed(found['candidates']):
            name = 'assistant' if c['scale'] == found['assistant']['scale'] else 'candidate'
            lines.append(row(f'{name} {number}' if len(summary['rounds']) > 1 else name, c['scale'], c,
                             f'{100 * c["value"]:.2f} +- {100 * c["stderr"]:.2f}', c['npsd'], c['test_value']))
    student = summary['student']
    lines.append(row('student', student['scale'], student, test=student['value']))
    share = student['value'] / summary['teacher']['value'] if summary['teacher']['value'] else float('nan')
    lines += [f'{summary["metric"]} in percent; test split {share:.3f} of the teacher at '
              f'{student["macs"] / summary["teacher"]["macs"]:.3f} of its MACs',
              *_recalibration_line(summary['recalibration_images']),
              'seconds: ' + ', '.join(f'{name} {value:.0f}' for name, value in summary['seconds'].items()),
              f'student: {student["path"]}']
    lines += [f'picture: {picture}' for picture in pictures]
    return '\n'.join(lines)


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


def _commit() -> str | None:
    """Commit of the source tree that runs, marked when the tree differs from it; None outside a repository."""
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
