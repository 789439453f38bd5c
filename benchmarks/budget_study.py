"""Accuracy of the student against total cost: plain distillation and AMD, each from cut and from refit weights.

ViT-micro on CIFAR-100 at the budget of study.py, students of 10 % and of 15 % of the MACs, and of 10 % of the same
network trained for longer; ViT-S/4 to 10 %, by the teacher of its recipe; Swin-micro to 10 % and ResNet-20 to 30 %, by
teachers of results/teachers/. A budget is counted in runs of plain KD of five epochs, all stages but the last test
included: scoring, refit, selection, the teacher's stored outputs. Every line has as many student epochs as its budget
leaves it, to the nearest whole one, so a cost is read off the table.

Lines whose points were measured before are taken from the rows of sampler_study.py and peer_study.py.

    python benchmarks/budget_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --amp --seeds 0 1 2
    python benchmarks/budget_study.py table
    python benchmarks/budget_study.py figure results/budget_study/budgets.png
"""

import sys
from collections import defaultdict
from pathlib import Path

import crossing
import numpy as np
import peer_study
import sampler_study
import study

ROWS = study.ROOT / 'results' / 'budget_study' / 'rows.jsonl'
BUDGETS = {'0.3': 0.27, '1': 1.00, '2': 2.10, '4': 3.92, '8': 7.76}  # 1, 5, 11, 21 and 42 epochs of plain KD
# Stored views of an image, by who is asked and by budget: the cheapest assistant is asked more often, any other as the
# teacher is.
VIEWS = {'teacher': {'0.3': 1, '1': 2, '2': 4, '4': 8, '8': 8},
         'assistant': {'0.3': 1, '1': 4, '2': 8, '4': 16, '8': 16}}
REFIT = {'compression.refit': dict(num_reported=0)}
# Scores and refits of the recipe's numbers of images would cost more than there is.
SCARCE = {'compression.importance.num_images': 256}
SCARCE_REFIT = {'compression.refit': dict(num_images=1536, num_images_candidates=384, num_reported=0)}
FROM_REFIT = {**REFIT, 'method': dict(type='mmamd.AMD', candidates='refit'), 'compression.num_candidates': 4}
CHEAPEST = dict(rule='npsd_cost')
BEST = dict(rule='npsd')  # with stored outputs a small assistant spares little, and a large one knows more
NO_LABELS = {'model.losses.ce.weight': 0.}  # the student learns from who teaches it alone
JUDGED_BY = 8  # held-out images a class on which the assistant is chosen; all 20 would cost a tenth of the budget 1

# Name of a line -> overrides of the recipe, options of the choice, and whether the teacher's outputs are kept.
LINES = {
    'plain KD': ({}, None, False),
    'plain KD, no labels': (NO_LABELS, None, False),
    'plain KD, kept outputs': ({}, None, True),
    'plain KD, kept outputs, no labels': (NO_LABELS, None, True),
    'plain KD from refit': (REFIT, None, False),
    'plain KD from refit, kept outputs': (REFIT, None, True),
    'plain KD from refit, kept outputs, no labels': ({**REFIT, **NO_LABELS}, None, True),
    'AMD from refit': (FROM_REFIT, CHEAPEST, False),
    'AMD from refit, kept outputs': (FROM_REFIT, CHEAPEST, True),
    'AMD from refit, kept outputs, no labels': ({**FROM_REFIT, **NO_LABELS}, CHEAPEST, True),
    'AMD from refit by npsd, kept outputs, no labels': ({**FROM_REFIT, **NO_LABELS}, BEST, True)}
PLAIN = [line for line in LINES if line.startswith('plain KD')]
OF_AMD = [line for line in LINES if line.startswith('AMD')]
# End of the names of a task's points -> recipe, weights of the teacher (None: of the command line), overrides, MACs of
# plain KD of five epochs where they are known, and budgets.
TASKS = {
    '': (study.RECIPE, None, {}, 7.905e12, tuple(BUDGETS)),
    ', 15 %': (study.RECIPE, None, {'compression.student_scale': 0.15}, 8.716e12, ('2',)),
    ', better teacher': (study.RECIPE, study.ROOT / 'results/teachers/vit-micro_cifar100.pth', {}, 7.905e12,
                         ('1', '2')),
    ', ViT-S': (study.ROOT / 'configs/amd/vit-s-p4_cifar100.py',
                study.ROOT / 'work_dirs/teacher_vit-s-p4_cifar100/teacher.pth', {}, None, ('1', '2', '4')),
    ', Swin-micro': (study.ROOT / 'configs/amd/swin-micro_cifar100.py',
                     study.ROOT / 'results/teachers/swin-micro_cifar100.pth', {}, None, ('2',)),
    ', ResNet-20': (study.ROOT / 'configs/amd/resnet20_cifar100.py',
                    study.ROOT / 'results/teachers/resnet20_cifar100.pth', {}, None, ('2',))}
TITLES = {'': 'ViT-micro to 10 %', ', 15 %': 'ViT-micro to 15 %',
          ', better teacher': 'ViT-micro of a better teacher to 10 %', ', ViT-S': 'ViT-S/4 to 10 %',
          ', Swin-micro': 'Swin-micro to 10 %', ', ResNet-20': 'ResNet-20 to 30 %'}
# Points of the other studies -> line and budget, task.
EARLIER = {
    'kd': ('plain KD', '1', ''), 'kd, 11 epochs': ('plain KD', '2', ''), 'kd, 21 epochs': ('plain KD', '4', ''),
    'Torch-Pruning + kd': ('Torch-Pruning + KD', '1', ''),
    'Torch-Pruning + kd, 11 epochs': ('Torch-Pruning + KD', '2', ''),
    'smallest + random, 3 joint epochs': ('AMD, joint training', '2', ''),
    'smallest + random, 6 joint and 10 student epochs': ('AMD, joint training', '4', ''),
    'kd, 11 epochs, 15 %': ('plain KD', '2', ', 15 %'),
    'Torch-Pruning + kd, 11 epochs, 15 %': ('Torch-Pruning + KD', '2', ', 15 %'),
    'smallest + random, 3 joint epochs, 15 %': ('AMD, joint training', '2', ', 15 %')}
POINTS = {f'{line}, {budget}{task}': (line, budget, task) for task in TASKS for budget in TASKS[task][4]
          for line in LINES if (line, budget, task) not in EARLIER.values()}


def job(point, seed, work_dir, args):
    """One run."""
    line, budget, task = point
    overrides, rule, is_kept = LINES[line]
    recipe, teacher, of_task, *_ = TASKS[task]
    views = VIEWS['assistant' if rule == CHEAPEST else 'teacher'][budget]
    kept = {'teacher_cache': dict(views=views), 'model.losses.feat.weight': 0.} if is_kept else {}
    scarce = {} if budget != '0.3' else {**SCARCE, **(SCARCE_REFIT if 'compression.refit' in overrides else {})}
    cfg = study.config(seed, args, recipe=recipe, teacher=teacher, student_epochs=5, **{
        'compression.refit': None, **overrides, **of_task, **kept, **scarce, 'compression.budget': BUDGETS[budget]},
        **({'selecting': slice(JUDGED_BY)} if rule else {}))
    cfg.custom_hooks[1].update(rule or {})
    return study.carry_out(cfg, work_dir)


def by_line(task='', rows=None):
    """Line -> budget -> seed -> row of a task, with the rows of the other studies."""
    found = defaultdict(lambda: defaultdict(dict))
    own = study.read_rows(ROWS) if rows is None else rows
    for row in own + study.read_rows(sampler_study.ROWS) + study.read_rows(peer_study.ROWS):
        line, budget, of = EARLIER.get(row['point']) or POINTS.get(row['point'], (None, None, None))
        if of == task:
            found[line][budget][row['seed']] = row
    return found


def tables(rows):
    """One table a task and budget, every line against plain KD and against plain KD from refit weights; then from
    which budget on AMD is as good as plain distillation, and better."""
    lines = []
    for task in TASKS:
        lines += [line for budget in BUDGETS for line in table(task, budget, rows)]
        if points := crossing.table(by_line(task, rows), OF_AMD, PLAIN, tuple(BUDGETS)):
            lines += [f'{TITLES[task]}, the budget from which on AMD is not worse, and better:', '', *points, '']
    return lines


def table(task, budget, rows):
    """Lines of one table; none where nothing was measured."""
    present = {line: points[budget] for line, points in by_line(task, rows).items() if budget in points}
    if not present:
        return []
    unit = unit_of(task, budget, present)
    lines = [f'{TITLES[task]}, budget {budget}:', '',
             '| line | seeds | cost | assistant | top-1 | to plain KD [95 %] | | to plain KD from refit [95 %] | |',
             '|---|---|---|---|---|---|---|---|---|']
    for line in sorted(present, key=lambda line: accuracy(present[line]).mean()):
        seeds = present[line]
        tops = accuracy(seeds)
        error = f' ± {tops.std(ddof=1) / len(tops) ** 0.5:.2f}' if len(tops) > 1 else ''
        assistants = ', '.join(f'{row["assistant"]:.1f}' for row in seeds.values() if row['assistant']) or '-'
        against = ' | '.join(study.against(seeds, present.get(other, {})) for other in (
            'plain KD', 'plain KD from refit'))
        cost = f'{mean_macs(seeds) / unit:.2f}' if unit else '-'
        lines.append(f'| {line} | {len(seeds)} | {cost} | {assistants} | '
                     f'{tops.mean():.2f}{error} | {against} |')
    return [*lines, '']


def unit_of(task, budget, present):
    """MACs of plain KD of five epochs, by a run of the budget where they are not known; None where there is none."""
    if TASKS[task][3] or 'plain KD' not in present:
        return TASKS[task][3]
    return mean_macs(present['plain KD']) / BUDGETS[budget]


def drawn_rows(lines):
    """The rows that a figure of some lines shows."""
    return [row for points in lines.values() for seeds in points.values() for row in seeds.values()]


def accuracy(seeds):
    """Top-1 in percent, one a seed."""
    return 100 * np.array([row['accuracy'] for row in seeds.values()])


def mean_macs(seeds):
    """Mean cost in MACs."""
    return np.mean([row['macs'] for row in seeds.values()])


def figure(path):
    """Accuracy over cost, a curve a line, with the range over seeds."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(8, 5.5), layout='constrained')
    shades = plt.get_cmap('tab20').colors
    axes.set_prop_cycle(color=shades[::2] + shades[1::2])  # there are more lines than the ten colours of the default
    lines = by_line()
    for line, points in lines.items():
        points = sorted(((mean_macs(seeds) / TASKS[''][3], accuracy(seeds)) for seeds in points.values()),
                        key=lambda point: point[0])
        costs, means = [c for c, _ in points], [tops.mean() for _, tops in points]
        curve, = axes.plot(costs, means, marker='o', label=line)
        axes.fill_between(costs, [tops.min() for _, tops in points], [tops.max() for _, tops in points], alpha=0.15,
                          color=curve.get_color())
    axes.set(xscale='log', xlabel='total cost, in runs of plain KD of 5 epochs', ylabel='top-1 on held-out images, %',
             title='ViT-micro to 10 % on CIFAR-100, 10,000 training images')
    axes.set_xticks([0.2, 0.5, 1, 2, 4, 8], ['0.2', '0.5', '1', '2', '4', '8'])
    axes.xaxis.set_minor_formatter('')
    axes.margins(x=0.1)
    axes.autoscale(axis='x')
    axes.legend(loc='lower right')
    axes.grid(alpha=0.3)
    study.save_figure(fig, path, drawn_rows(lines))


if __name__ == '__main__':
    if sys.argv[1:2] == ['figure']:
        figure(Path(sys.argv[2]))
    else:
        study.command_line(__doc__, POINTS, ROWS, job, tables)
