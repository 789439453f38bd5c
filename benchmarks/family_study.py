"""Several students of one run, beside plain distillation of each at a third of the run's cost.

ViT-micro on CIFAR-100 at the small budget of study.py, students of 10 %, 15 % and 25 % of the MACs: by one run of AMD
from refit candidates, five epochs a student; and by three runs of plain KD from the same refit weights, each of as many
epochs as a third of that run's cost leaves it. The table pairs each student with the one of its size, and says at what
cost the line of plain KD from refit of budget_study.py reaches it, where that line has been measured on both sides.

    python benchmarks/family_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --amp --seeds 0 1 2
    python benchmarks/family_study.py table
"""

from collections import defaultdict
from pathlib import Path

import budget_study
import numpy as np
import study
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import fill_data_root
from mmamd.pipeline.stages.budget import plain_run
from mmamd.structures import scale_key

ROWS = study.ROOT / 'results' / 'family_study' / 'rows.jsonl'
SCALES = (0.10, 0.15, 0.25)
FAMILY = 'family'
POINTS = {FAMILY: None, **{f'KD, {scale_key(scale)}': scale for scale in SCALES}}  # the family first: its cost is read
EPOCHS = 5  # of each student of the family, and of the unit of budgets
LINE, TASKS = 'plain KD from refit', {0.10: '', 0.15: ', 15 %'}  # of the budget study, and its tasks by scale


def job(scale, seed, work_dir, args):
    """The family, or plain distillation of one student at a third of its cost."""
    if scale is None:
        return family(seed, work_dir, args)
    whole = next((row for row in study.read_rows(ROWS) if (row['point'], row['seed']) == (FAMILY, seed)), None)
    if whole is None:
        raise SystemExit(f'plain distillation of seed {seed} gets a third of what the family costs, and {ROWS} has no '
                         f'row of it; run it first: --points {FAMILY} --seeds {seed}')
    cfg = study.config(seed, args, student_epochs=EPOCHS, **budget_study.REFIT, **{'compression.student_scale': scale})
    cfg.compression.budget = whole['macs'] / len(SCALES) / unit_of(cfg, work_dir)
    return study.carry_out(cfg, work_dir)


def family(seed, work_dir, args):
    """One run of all students: what each gets right, and what falls to it of the cost."""
    cfg = study.config(seed, args, student_epochs=EPOCHS, selecting=slice(budget_study.JUDGED_BY),
                       **budget_study.FROM_REFIT, **{'compression.student_scale': list(SCALES)})
    cfg.custom_hooks[1].update(budget_study.CHEAPEST)
    summary = mmamd.compress(cfg, work_dir=work_dir)
    students = {scale_key(each['scale']): {**study.judged(work_dir, each['scale']), 'macs': each['cost']['macs'],
                                           'student_macs': each['macs']} for each in summary['students']}
    return {'macs': study.macs(summary), 'commit': summary['record']['commit'], 'students': students,
            'assistants': {each['student']: each['chosen']['scale'] for each in summary['selections']},
            'trainings': summary['cost']['trainings']}


def unit_of(cfg: Config, work_dir: Path) -> float:
    """MACs of plain distillation by a config's own schedule."""
    fill_data_root(cfg)  # as the runner does
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        context = Context(cfg, Settings.from_cfg(cfg), work_dir, 0, lambda *_: None)
        context.stages = context.settings.method.stages(context)
        return plain_run(context)


# --- table ---

def tables(rows):
    """One table: each size by the family and by plain distillation, the family's students paired with the others."""
    by_size = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for key, student in row.get('students', {scale_key(POINTS[row['point']] or 1.): row}).items():
            by_size[key]['family' if row['point'] == FAMILY else 'KD'][row['seed']] = student
    costs = [row['macs'] for row in rows if row['point'] == FAMILY]
    lines = [f'Cost of the family: {np.mean(costs):.4g} MACs, of each run of KD a third', ''] if costs else []
    lines += ['| student | seeds | family | KD | family to KD, points [95 %] | | cost at which KD has it |',
              '|---|---|---|---|---|---|---|']
    for key, found in sorted(by_size.items()):
        own, other = found['family'], found['KD']
        lines.append(f'| {key} | {len(own)} | {_tops(own)} | {_tops(other)} | {study.against(own, other)} | '
                     f'{needed(own, other, float(key))} |')
    return lines


def _tops(found):
    if not found:
        return '-'
    tops = budget_study.accuracy(found)
    return f'{tops.mean():.2f}' + (f' ± {tops.std(ddof=1) / len(tops) ** 0.5:.2f}' if len(tops) > 1 else '')


def needed(own, other, scale):
    """Cost at which plain KD from refit has the mean accuracy of some students, in runs of plain KD of five epochs, by
    interpolation on its line of the budget study, of which its runs here are points too; '-' where it is not measured
    on both sides."""
    task = TASKS.get(scale)
    points = [] if task is None else [*budget_study.by_line(task).get(LINE, {}).values(), other]
    unit = budget_study.TASKS[task][3] if points else None
    line = sorted((budget_study.accuracy(seeds).mean(), budget_study.mean_macs(seeds) / unit)
                  for seeds in points if seeds)
    if not own or len(line) < 2:
        return '-'
    accuracies, costs = zip(*line, strict=True)
    wanted = budget_study.accuracy(own).mean()
    return f'{np.interp(wanted, accuracies, costs):.2f}' if accuracies[0] <= wanted <= accuracies[-1] else '-'


if __name__ == '__main__':
    study.command_line(__doc__, POINTS, ROWS, job, tables)
