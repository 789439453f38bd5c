"""Accuracy of the student against total cost: plain distillation and AMD, each from cut and from refit weights.

ViT-micro on CIFAR-100 at the budget of study.py, students of 10 % of the MACs. A budget is counted in runs of plain KD
of five epochs, all stages but the last test included: scoring, refit, selection, the teacher's stored outputs. Every
line has as many student epochs as its budget leaves it, to the nearest whole one, so a cost is read off the table.

Lines whose points were measured before are taken from the rows of sampler_study.py and peer_study.py.

    python benchmarks/budget_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --amp --seeds 0 1 2
    python benchmarks/budget_study.py table
    python benchmarks/budget_study.py figure results/budget_study/budgets.png
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import peer_study
import sampler_study
import study

ROWS = study.ROOT / 'results' / 'budget_study' / 'rows.jsonl'
UNIT = 7.905e12  # MACs of plain KD of five epochs
BUDGETS = {'0.3': 0.27, '1': 1.00, '2': 2.10, '4': 3.92, '8': 7.76}  # 1, 5, 11, 21 and 42 epochs of plain KD
# Stored views of an image, by who is asked and by budget: an assistant is cheaper, so it is asked more often.
VIEWS = {'teacher': {'0.3': 1, '1': 2, '2': 4, '4': 8, '8': 8},
         'assistant': {'0.3': 2, '1': 4, '2': 8, '4': 16, '8': 16}}
REFIT = {'compression.refit': dict(num_reported=0)}
FROM_REFIT = {**REFIT, 'method': dict(type='mmamd.AMD', candidates='refit'), 'compression.num_candidates': 4}
CHEAPEST = dict(rule='npsd_cost')
JUDGED_BY = 8  # held-out images a class on which the assistant is chosen; all 20 would cost a tenth of the budget 1

# Name of a line -> overrides of the recipe, options of the choice, and whether the teacher's outputs are kept.
LINES = {
    'plain KD': ({}, None, False),
    'plain KD, kept outputs': ({}, None, True),
    'plain KD from refit': (REFIT, None, False),
    'plain KD from refit, kept outputs': (REFIT, None, True),
    'AMD from refit': (FROM_REFIT, CHEAPEST, False),
    'AMD from refit, kept outputs': (FROM_REFIT, CHEAPEST, True)}
# Points of the other studies -> line and budget.
EARLIER = {
    'kd': ('plain KD', '1'), 'kd, 11 epochs': ('plain KD', '2'), 'kd, 21 epochs': ('plain KD', '4'),
    'Torch-Pruning + kd': ('Torch-Pruning + KD', '1'), 'Torch-Pruning + kd, 11 epochs': ('Torch-Pruning + KD', '2'),
    'smallest + random, 3 joint epochs': ('AMD, joint training', '2'),
    'smallest + random, 6 joint and 10 student epochs': ('AMD, joint training', '4')}
POINTS = {f'{line}, {budget}': (line, budget) for budget in BUDGETS for line in LINES
          if (line, budget) not in EARLIER.values()}


def job(point, seed, work_dir, args):
    """One run."""
    line, budget = point
    overrides, rule, is_kept = LINES[line]
    views = VIEWS['teacher' if rule is None else 'assistant'][budget]
    kept = {'teacher_cache': dict(views=views), 'model.losses.feat.weight': 0.} if is_kept else {}
    cfg = study.config(seed, args, student_epochs=5, **overrides, **kept,
                       **{'compression.budget': BUDGETS[budget]})
    cfg.custom_hooks[1].update(rule or {})
    if rule:
        few = study.image_list(args.data.resolve(), 'select', slice(JUDGED_BY), args.work_dir.resolve() / 'few.txt')
        cfg.val_dataloader.dataset.ann_file = str(few)
    return study.carry_out(cfg, work_dir)


def by_line(rows=None):
    """Line -> budget -> seed -> row, with the rows of the other studies; a row is only used once it is finished."""
    found = defaultdict(lambda: defaultdict(dict))
    for row in study.read_rows(ROWS) if rows is None else rows:
        line, budget = POINTS[row['point']]
        found[line][budget][row['seed']] = row
    for row in study.read_rows(sampler_study.ROWS) + study.read_rows(peer_study.ROWS):
        if row['point'] in EARLIER:
            line, budget = EARLIER[row['point']]
            found[line][budget][row['seed']] = row
    return found


def tables(rows):
    """One table a budget, every line against plain KD and against plain KD from refit weights."""
    found, lines = by_line(rows), []
    for budget in BUDGETS:
        present = {line: points[budget] for line, points in found.items() if budget in points}
        if not present:
            continue
        lines += [f'Budget {budget}:', '', '| line | seeds | cost | assistant | top-1 | to plain KD [95 %] | | '
                  'to plain KD from refit [95 %] | |', '|---|---|---|---|---|---|---|---|---|']
        for line in sorted(present, key=lambda line: accuracy(present[line]).mean()):
            seeds = present[line]
            tops = accuracy(seeds)
            error = f' ± {tops.std(ddof=1) / len(tops) ** 0.5:.2f}' if len(tops) > 1 else ''
            assistants = ', '.join(f'{row["assistant"]:.1f}' for row in seeds.values() if row['assistant']) or '-'
            against = ' | '.join(study.against(seeds, present.get(other, {})) for other in (
                'plain KD', 'plain KD from refit'))
            lines.append(f'| {line} | {len(seeds)} | {cost(seeds):.2f} | {assistants} | {tops.mean():.2f}{error} | '
                         f'{against} |')
        lines.append('')
    return lines


def accuracy(seeds):
    """Top-1 in percent, one a seed."""
    return 100 * np.array([row['accuracy'] for row in seeds.values()])


def cost(seeds):
    """Mean cost in runs of plain KD."""
    return np.mean([row['macs'] for row in seeds.values()]) / UNIT


def figure(path):
    """Accuracy over cost, a curve a line, with the range over seeds."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(8, 5), layout='constrained')
    for line, points in by_line().items():
        points = sorted(((cost(seeds), accuracy(seeds)) for seeds in points.values()), key=lambda point: point[0])
        costs, means = [c for c, _ in points], [tops.mean() for _, tops in points]
        curve, = axes.plot(costs, means, marker='o', label=line)
        axes.fill_between(costs, [tops.min() for _, tops in points], [tops.max() for _, tops in points], alpha=0.15,
                          color=curve.get_color())
    axes.set(xscale='log', xlabel='total cost, in runs of plain KD of 5 epochs', ylabel='top-1 on held-out images, %',
             title='ViT-micro to 10 % on CIFAR-100, 10,000 training images')
    axes.set_xticks([1, 2, 4, 8], ['1', '2', '4', '8'])
    axes.xaxis.set_minor_formatter('')
    axes.margins(x=0.1)
    axes.autoscale(axis='x')
    axes.legend(loc='lower right')
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=150)


if __name__ == '__main__':
    if sys.argv[1:2] == ['figure']:
        figure(Path(sys.argv[2]))
    else:
        study.command_line(__doc__, POINTS, ROWS, job, tables)
