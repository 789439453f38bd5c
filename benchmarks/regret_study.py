"""What the choice of the assistant is worth: the students of all assistants, beside that of the one that NPSD takes.

ViT-micro on CIFAR-100 at the small budget of study.py, students of 10 % of the MACs and five epochs. The candidates are
made once a seed, refit or trained jointly; then each of them teaches a student. The regret is what the student of the
chosen assistant misses of the best one's.

    python benchmarks/regret_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --amp --seeds 0 1 2
    python benchmarks/regret_study.py table
"""

from collections import defaultdict

import study

from mmamd.files.run_config import read_run_config
from mmamd.selection.choice import replay
from mmamd.structures import Selection

ROWS = study.ROOT / 'results' / 'regret_study' / 'rows.jsonl'
SCALES = (0.2, 0.4, 0.6, 0.8)
RULES = ('npsd', 'npsd_cost', 'npsd_local', 'lambda_tradeoff')
MADE = {  # how the candidates come to be -> what it changes of the recipe
    'refit': {'compression.refit': dict(num_reported=0), 'method': dict(type='mmamd.AMD', candidates='refit')},
    'joint': {'method': dict(type='mmamd.AMD', candidates='joint')}}
POINTS = {f'{made}, {scale}': (made, scale) for made in MADE for scale in SCALES}


def job(point, seed, work_dir, args):
    """One student; the stages before the choice are those of the last one of the same candidates, if there is one."""
    made, scale = point
    work_dir = work_dir.parent / f'{made}_{seed}'
    cfg = study.config(seed, args, student_epochs=5, joint_epochs=3, sampler='smallest_random',
                       **{'compression.num_candidates': len(SCALES)}, **MADE[made])
    cfg.custom_hooks[1].update(rule='manual', scale=scale)
    if work_dir.exists() and read_run_config(work_dir).custom_hooks[1].scale != scale:
        cfg.start_from = 'select'
    found = study.carry_out(cfg, work_dir)
    return {**found, 'would_take': would_take(work_dir)}


def would_take(work_dir):
    """Rule -> scale of the assistant that it would have chosen."""
    judged = Selection.load(work_dir / 'select' / 'selection.json')
    return {rule: replay(judged, rule).winner.scale for rule in RULES}


def tables(rows):
    """One table a way of making candidates: the students by assistant, and each rule's regret, averaged over seeds."""
    lines = []
    for made in MADE:
        by_seed = defaultdict(dict)
        for row in rows:
            if POINTS[row['point']][0] == made:
                by_seed[row['seed']][row['assistant']] = row
        whole = {seed: found for seed, found in by_seed.items() if len(found) == len(SCALES)}
        if not whole:
            continue
        lines += [f'Candidates {made}:', '', '| assistant | ' + ' | '.join(f'seed {seed}' for seed in whole) + ' |',
                  '|---' * (len(whole) + 1) + '|']
        lines += [f'| {scale} | ' + ' | '.join(f'{top(found, scale):.2f}' for found in whole.values()) + ' |'
                  for scale in SCALES]
        for rule in RULES:
            cells = []
            for found in whole.values():
                taken = found[SCALES[0]]['would_take'][rule]
                missed = max(top(found, scale) for scale in SCALES) - top(found, taken)
                cells.append(f'{missed:.2f} (takes {taken})')
            lines.append(f'| regret of {rule} | ' + ' | '.join(cells) + ' |')
        lines.append('')
    return lines


def top(found, scale):
    """Top-1 of an assistant's student, in percent."""
    return 100 * found[scale]['accuracy']


if __name__ == '__main__':
    study.command_line(__doc__, POINTS, ROWS, job, tables)
