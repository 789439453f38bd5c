"""Which candidates to train in a step, and for how long: accuracy of the student against cost, on real images.

ViT-micro on CIFAR-100 at a small budget: 100 images a class, five student epochs; every point differs from the recipe
in the joint stage alone. A list of jobs, each a whole run; a job whose row is in the table is not run again, so the
study may be interrupted, and several processes may share it (give each its own --seeds or --points).

    python benchmarks/sampler_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --seeds 0 1 2
    python benchmarks/sampler_study.py table

A row keeps which test images the student got right, so that differences are paired. Cost is counted in MACs (a
backward pass is two forward passes; loading, checkpoints and the report on the test split are left out), since time on
a shared machine does not repeat; the processor time that was spent is noted.
"""

import argparse
import base64
import json
import resource
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from compare_runs import correct
from mmengine.config import Config
from side_by_side import processor

import mmamd
from mmamd.distillation.samplers import sample_candidates
from mmamd.distillation.sandwich_hook import POOLS
from mmamd.pipeline.seeding import derive_seed
from mmamd.structures import CandidateFamily, Selection

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / 'configs' / 'amd' / 'vit-micro_cifar100.py'
ROWS = ROOT / 'results' / 'sampler_study' / 'rows.jsonl'
IMAGES_A_CLASS, HELD_OUT_A_CLASS, STUDENT_EPOCHS = 100, 20, 5
BATCH = 128

# Name -> sampler and joint epochs; without joint epochs, plain KD, of so many student epochs.
POINTS = {
    'kd': dict(student_epochs=5),
    'kd, 9 epochs': dict(student_epochs=9),
    'random, 2 joint epochs': dict(joint_epochs=2, sampler='random'),
    'random, 3 joint epochs': dict(joint_epochs=3, sampler='random'),
    'random halved, 3 joint epochs': dict(joint_epochs=3, sampler='random', halve_after=[1, 2]),
    'random, 5 joint epochs': dict(joint_epochs=5, sampler='random'),
    'random halved, 5 joint epochs': dict(joint_epochs=5, sampler='random', halve_after=[1, 2, 3]),
    'sandwich, 5 joint epochs': dict(joint_epochs=5, sampler='sandwich'),
    'all halved, 5 joint epochs': dict(joint_epochs=5, sampler='all', halve_after=[1, 2, 3]),
    'all, 5 joint epochs': dict(joint_epochs=5, sampler='all')}
REFERENCE = 'all, 5 joint epochs'


# --- jobs ---

def run(args: argparse.Namespace) -> None:
    """Run the jobs that have no row yet, seed by seed."""
    data = Path(args.data).resolve()
    lists = {split: image_list(data, split, number, args.work_dir)
             for split, number in (('train', IMAGES_A_CLASS), ('select', HELD_OUT_A_CLASS))}
    for seed in args.seeds:
        for point in args.points:
            if (point, seed) in {(row['point'], row['seed']) for row in read_rows()}:
                continue
            row = job(point, seed, data, lists, args)
            ROWS.parent.mkdir(parents=True, exist_ok=True)
            with ROWS.open('a') as file:  # one write, so that processes do not mix their rows
                file.write(json.dumps(row) + '\n')


def job(point: str, seed: int, data: Path, lists: dict[str, Path], args: argparse.Namespace) -> dict:
    """A whole run and its row."""
    settings = POINTS[point]
    joint_epochs, student_epochs = settings.get('joint_epochs', 0), settings.get('student_epochs', STUDENT_EPOCHS)
    cfg = Config.fromfile(RECIPE)
    sampler = {key: settings[key] for key in ('sampler', 'halve_after') if key in settings}
    cfg.merge_from_dict({
        'data_root': str(data), 'model.teacher': str(args.teacher), 'randomness.seed': seed,
        'train_dataloader.dataset.ann_file': str(lists['train']), 'train_dataloader.batch_size': BATCH,
        'val_dataloader.dataset.ann_file': str(lists['select']),
        'compression.num_assistants': 1 if joint_epochs else 0,
        'custom_hooks': [dict(type='mmamd.SandwichSparsityHook', **sampler),
                         dict(type='mmamd.NPSDSelectionHook', report_test=False)],
        'joint.train_cfg.max_epochs': joint_epochs or 1, 'student.train_cfg.max_epochs': student_epochs,
        **{f'{stage}.param_scheduler.0.end': 30 for stage in ('joint', 'student')}})  # steps of warm-up, of 78 an epoch
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    work_dir = args.work_dir / f'{point.replace(", ", "_").replace(" ", "-")}_{seed}'
    before = processor_seconds()
    summary = mmamd.compress(cfg, work_dir=work_dir)
    spent = processor_seconds() - before
    right = correct(work_dir)
    num_images = summary['record']['dataset fingerprint']['train']['images']
    return {
        'point': point, 'seed': seed, 'test': float(right.mean()), 'macs': macs(work_dir, settings, num_images),
        'assistant': summary['rounds'][0]['assistant']['scale'] if joint_epochs else None,
        'processor_seconds': round(spent), 'bfloat16': args.amp, 'date': time.strftime('%Y-%m-%d'),
        'commit': summary['record']['commit'], 'processor': processor(), 'torch': torch.__version__,
        'right': base64.b64encode(np.packbits(right).tobytes()).decode()}


def image_list(data: Path, split: str, number: int, folder: Path) -> Path:
    """Annotation file of so many images of each class, drawn from a fixed seed."""
    by_class = defaultdict(list)
    for line in (data / 'meta' / f'{split}.txt').read_text().splitlines():
        by_class[line.rsplit(' ', 1)[1]].append(line)
    rng = np.random.default_rng(0)
    lines = [lines[i] for lines in by_class.values() for i in sorted(rng.permutation(len(lines))[:number])]
    file = folder.resolve() / f'{split}_{number}.txt'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('\n'.join(lines) + '\n')
    return file


def macs(work_dir: Path, settings: dict, num_images: int) -> float:
    """MACs of scoring, joint stage, selection and student of a finished run."""
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    teacher, student = family.teacher_cost.macs, family.student.cost.macs
    epochs, epoch_steps = settings.get('joint_epochs', 0), num_images // BATCH
    total = 3. * teacher * Config.fromfile(work_dir / 'run_config.py').compression.importance.num_images
    taught_by = teacher
    if epochs:
        seed = derive_seed(Config.fromfile(work_dir / 'run_config.py').randomness.seed, 'joint')
        last = torch.load(work_dir / 'joint' / f'epoch_{epochs}.pth', map_location='cpu', weights_only=False)
        pools = last['message_hub']['runtime_info'].get(POOLS, {})
        pool = family.candidates
        for epoch in range(epochs):
            pool = [c for c in pool if c.key in pools[epoch]] if epoch in pools else pool
            for i in range(epoch * epoch_steps, (epoch + 1) * epoch_steps):
                step = sample_candidates(pool, settings['sampler'], 1, seed, i)
                total += BATCH * (teacher + 3 * sum(candidate.cost.macs for candidate in step))
        held_out = HELD_OUT_A_CLASS * num_images / IMAGES_A_CLASS
        total += held_out * (2 * teacher + sum(candidate.cost.macs for candidate in family.candidates))
        taught_by = family.at(Selection.load(work_dir / 'select' / 'selection.json').assistant).cost.macs
    steps = settings.get('student_epochs', STUDENT_EPOCHS) * epoch_steps
    return total + steps * BATCH * (taught_by + 3 * student)


def processor_seconds() -> float:
    """Processor time of this process and of its workers that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


# --- table ---

def read_rows() -> list[dict]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []


def table(args: argparse.Namespace) -> None:
    """Points by their cost, with the mean over seeds and the paired difference to training all candidates."""
    by_point = defaultdict(dict)
    for row in read_rows():
        by_point[row['point']][row['seed']] = row
    kd = np.mean([row['macs'] for row in by_point['kd'].values()])
    print('| point | seeds | MACs over plain KD | assistant | test top-1 | to all candidates, points [95 %] | |')
    print('|---|---|---|---|---|---|---|')
    for point in sorted(by_point, key=lambda point: np.mean([row['macs'] for row in by_point[point].values()])):
        rows = by_point[point]
        tests = 100 * np.array([row['test'] for row in rows.values()])
        error = f' ± {tests.std(ddof=1) / len(tests) ** 0.5:.2f}' if len(tests) > 1 else ''
        assistants = ', '.join(f'{row["assistant"]:.2f}' for row in rows.values() if row['assistant'])
        difference = against(rows, by_point[REFERENCE])
        print(f'| {point} | {len(rows)} | {np.mean([row["macs"] for row in rows.values()]) / kd:.2f} | '
              f'{assistants or "-"} | {tests.mean():.2f}{error} | {difference} |')


def against(rows: dict[int, dict], reference: dict[int, dict]) -> str:
    """Mean difference over the seeds that both have, with a bootstrap over test images and seeds."""
    seeds = sorted(rows.keys() & reference.keys())
    if not seeds or rows is reference:
        return ' | '
    each = np.stack([bits(rows[seed]) - bits(reference[seed]) for seed in seeds])  # (seeds, test images)
    rng = np.random.default_rng(0)
    draws = [each[rng.integers(len(seeds), size=len(seeds))][:, rng.integers(each.shape[1], size=each.shape[1])].mean()
             for _ in range(2000)]
    low, high = 100 * np.quantile(draws, [0.025, 0.975])
    verdict = 'tie' if low <= 0 <= high else 'better' if low > 0 else 'worse'
    return f'{100 * each.mean():+.2f} [{low:+.2f}, {high:+.2f}] | {verdict}'


def bits(row: dict) -> np.ndarray:
    """1 where the student was right, in the order of the test images."""
    packed = np.frombuffer(base64.b64decode(row['right']), dtype=np.uint8)
    return np.unpackbits(packed)[:10_000].astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser('run')
    running.add_argument('--data', type=Path, default=ROOT / 'data' / 'cifar100')
    running.add_argument('--teacher', type=Path, default=ROOT / 'data' / 'vit-micro_cifar100.pth')
    running.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'sampler_study')
    running.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    running.add_argument('--points', nargs='+', default=list(POINTS), choices=list(POINTS))
    running.add_argument('--amp', action='store_true', help='bfloat16 where the machine multiplies in it')
    running.set_defaults(function=run)
    commands.add_parser('table').set_defaults(function=table)
    args = parser.parse_args()
    args.function(args)


if __name__ == '__main__':
    main()
