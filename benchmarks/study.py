"""What the studies share: a small budget on real images, jobs that are whole runs, and a table of their students.

A study is a list of points, each a way to the same student, and some seeds. A job whose row is in the table is not run
again, so a study may be interrupted, and several processes may share it (give each its own --seeds or --points). A row
keeps which images the student got right, or a segmentor's areas in each, so that differences are paired. Since defaults
are chosen by them, studies judge on training images that were held out, and that neither training nor selection sees;
the test split is not read.

Cost is counted in MACs (a backward pass is two forward passes; loading and checkpoints are left out), since time on a
shared machine does not repeat; the processor time of the process that finished the job is noted.
"""

import argparse
import base64
import json
import os
import resource
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from compare_runs import outcomes, performance
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from side_by_side import device_name

import mmamd
from mmamd.pipeline.inputs import fill_data_root
from mmamd.pipeline.lock import WorkDirTaken
from mmamd.pipeline.plain import digest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / 'configs' / 'amd' / 'vit-micro_cifar100.py'
IMAGES_A_CLASS, HELD_OUT_A_CLASS, JUDGED_A_CLASS, NUM_CLASSES = 100, 20, 30, 100
BATCH, WARM_UP = 128, 30  # images a step; steps, of 78 an epoch
NUM_DRAWS = 2000


def command_line(doc: str, points: dict, rows: Path, job: Callable[..., dict],
                 tables: Callable[[list[dict]], list[str]]) -> None:
    """``run`` the jobs that have no row yet, seed by seed; print the ``table``, as ``tables`` makes it of the rows."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser('run')
    running.add_argument('--data', type=Path, default=ROOT / 'data' / 'cifar100')
    running.add_argument('--teacher', type=Path, default=ROOT / 'data' / 'vit-micro_cifar100.pth')
    running.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / rows.parent.name)
    running.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    running.add_argument('--points', nargs='+', default=list(points), choices=list(points))
    running.add_argument('--amp', action='store_true', help='bfloat16, where the machine multiplies in it')
    running.set_defaults(function=lambda args: run(args, points, rows, job))
    commands.add_parser('table').set_defaults(function=lambda _: print('\n'.join(tables(read_rows(rows)))))
    args = parser.parse_args()
    args.function(args)


# --- jobs ---

def run(args: argparse.Namespace, points: dict, rows: Path, job: Callable[..., dict]) -> None:
    """Run the jobs that have no row yet, seed by seed."""
    for seed in args.seeds:
        for point in args.points:
            finished = read_rows(rows)
            if any(row['bfloat16'] != args.amp for row in finished):
                raise SystemExit(f'{rows} was begun {"without" if args.amp else "with"} --amp; go on with it that way, '
                                 'or move the file')
            if _has(finished, point, seed):
                continue
            work_dir = args.work_dir / f'{point.replace(", ", "_").replace(" ", "-")}_{seed}'
            before = processor_seconds()
            try:
                found = job(points[point], seed, work_dir, args)
            except WorkDirTaken as error:  # another process of the study has begun it
                print(f'{point}, seed {seed}: left to the process that runs it ({error})')
                continue
            row = {'point': point, 'seed': seed, **found, 'processor_seconds': round(processor_seconds() - before),
                   'bfloat16': args.amp, 'date': time.strftime('%Y-%m-%d'), 'processor': device_name(),
                   'torch': torch.__version__}
            if _has(read_rows(rows), point, seed):  # by a process that found the run finished, but for its row
                continue
            rows.parent.mkdir(parents=True, exist_ok=True)
            with rows.open('a') as file:  # one write, so that processes do not mix their rows
                file.write(json.dumps(row) + '\n')


def _has(rows: list[dict], point: str, seed: int) -> bool:
    return any((row['point'], row['seed']) == (point, seed) for row in rows)


def config(seed: int, args: argparse.Namespace, *, student_epochs: int, joint_epochs: int = 0, sampler: str = 'random',
           halve_after: list[int] | None = None, recipe: Path = RECIPE, teacher: Path | None = None,
           selecting: slice = slice(HELD_OUT_A_CLASS), **overrides) -> Config:
    """A recipe at the small budget; without joint epochs, plain KD.

    Args:
        seed: Of the run.
        args: Of the command line.
        student_epochs, joint_epochs, sampler, halve_after: Of the run.
        recipe: Its file.
        teacher: Weights; those of the command line by default, and those of the recipe where it names none either.
        selecting: Held-out images of a class that are selected on.
        **overrides: Further keys.
    """
    cfg = Config.fromfile(recipe)
    cfg.data_root = str(args.data.resolve())
    fill_data_root(cfg)
    cfg.compression.pop('refit', None)  # what a recipe has beyond plain distillation, a study adds by itself
    cfg.compression.pop('budget', None)
    if cfg.pop('teacher_cache', None):  # such a recipe leaves out labels and hidden states
        cfg.model.losses.ce.weight, cfg.model.losses.feat.weight = 1., 0.1
    teacher = teacher or args.teacher
    if teacher is not None:
        cfg.model.teacher = str(teacher)
    parts = {'train': ('train', slice(IMAGES_A_CLASS)), 'val': ('val', selecting),
             'test': ('val', slice(HELD_OUT_A_CLASS, HELD_OUT_A_CLASS + JUDGED_A_CLASS))}
    folder = args.work_dir.resolve() / recipe.stem
    lists = {split: image_list(cfg, source, part, folder / f'{split}_{part.stop}.txt')
             for split, (source, part) in parts.items()}
    for split, file in lists.items():
        cfg[f'{split}_dataloader'].dataset = dict(
            type='CustomDataset', data_prefix='train', ann_file=str(file),
            pipeline=cfg.train_pipeline if split == 'train' else cfg.test_pipeline)
    cfg.merge_from_dict({
        'randomness.seed': seed, 'train_dataloader.batch_size': BATCH,
        'method.type': 'mmamd.AMD' if joint_epochs else 'mmamd.KD',
        'custom_hooks': [dict(type='mmamd.SandwichSparsityHook', sampler=sampler, halve_after=halve_after or []),
                         dict(type='mmamd.NPSDSelectionHook', report_test=False)],
        'joint.train_cfg.max_epochs': joint_epochs or 1, 'student.train_cfg.max_epochs': student_epochs,
        **{f'{stage}.param_scheduler.0.end': WARM_UP for stage in ('joint', 'student')
           if stage in cfg and cfg[stage].param_scheduler[0].type == 'LinearLR'}})
    cfg.merge_from_dict(overrides)
    if args.amp:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    return cfg


def carry_out(cfg: Config, work_dir: Path) -> dict:
    """A whole run: which of the judging images its student gets right, its assistant, what it cost."""
    summary = mmamd.compress(cfg, work_dir=work_dir)
    return {**judged(work_dir), 'macs': macs(summary), 'commit': summary['record']['commit'],
            'assistant': summary['selections'][0]['chosen']['scale'] if summary['selections'] else None,
            'student_macs': summary['student']['macs'], 'trainings': summary['cost']['trainings']}


def judged(work_dir: Path, scale: float | None = None) -> dict:
    """What a run's student, that of a scale of several, makes of each judging image, in the fields of a row.

    Of a classifier whether it is right, of a segmentor the areas of the classes, of which the mIoU is made.
    """
    each = outcomes(work_dir, scale)
    name, packed = (('right', np.packbits(each).tobytes()) if each.ndim == 1 else
                    ('areas', zlib.compress(each.astype(np.int32).tobytes())))
    return {'accuracy': float(performance(each)), 'images': len(each), name: base64.b64encode(packed).decode()}


def image_list(cfg: Config, split: str, part: slice, file: Path) -> Path:
    """Write the annotation file of some images of each class of a split: parts of one fixed draw.

    Raises:
        ValueError: If a class has fewer images than that; a folder that is not whole makes another study.
    """
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    by_class = defaultdict(list)
    for info in map(dataset.get_data_info, range(len(dataset))):
        by_class[info['gt_label']].append(Path(info['img_path']).relative_to(Path(cfg.data_root, 'train')))
    rarest = min(by_class, key=lambda label: len(by_class[label]))
    if len(by_class[rarest]) < part.stop:
        raise ValueError(f'class {rarest} has {len(by_class[rarest])} images of {split} under {cfg.data_root}, and the '
                         f'study draws from {part.stop}; is the data set whole there?')
    rng = np.random.default_rng(0)
    lines = [f'{paths[i]} {label}' for label, paths in by_class.items()
             for i in sorted(rng.permutation(len(paths))[part])]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{file.name}.{os.getpid()}')  # other processes of the study may be reading the file
    partial.write_text('\n'.join(lines) + '\n')
    partial.replace(file)
    return file


def macs(summary: dict) -> float:
    """MACs that a run has spent on its student: all stages but those that train the teacher and judge on test images.

    A student that a peer has made is charged for scoring as any other; connectors are left out.
    """
    return sum(stage['macs'] for stage in summary['stages'].values() if stage['kind'] not in ('teacher', 'export'))


def processor_seconds() -> float:
    """Processor time of this process and of its workers that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


# --- table ---

def read_rows(path: Path) -> list[dict]:
    """The finished jobs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def table(rows: list[dict], reference: str, baseline: str = 'kd') -> list[str]:
    """Lines of a table of all points by their cost: mean over seeds, and paired difference to one of them.

    Args:
        rows: Finished jobs of points that are comparable.
        reference: Point that the others are compared with.
        baseline: Point whose cost is 1.
    """
    by_point = defaultdict(dict)
    for row in rows:
        by_point[row['point']][row['seed']] = row
    cost = {point: np.mean([row['macs'] for row in found.values()]) for point, found in by_point.items()}
    lines = [f'| point | seeds | MACs over plain KD | assistant | top-1 | to "{reference}", points [95 %] | |',
             '|---|---|---|---|---|---|---|']
    for point in sorted(by_point, key=cost.get):
        found = by_point[point]
        tops = 100 * np.array([row['accuracy'] for row in found.values()])
        error = f' ± {tops.std(ddof=1) / len(tops) ** 0.5:.2f}' if len(tops) > 1 else ''
        assistants = ', '.join(f'{row["assistant"]:.2f}' for row in found.values() if row['assistant']) or '-'
        over_kd = f'{cost[point] / cost[baseline]:.2f}' if baseline in cost else '-'
        lines.append(f'| {point} | {len(found)} | {over_kd} | {assistants} | {tops.mean():.2f}{error} | '
                     f'{against(found, by_point[reference])} |')
    return lines


def against(rows: dict[int, dict], reference: dict[int, dict]) -> str:
    """Mean difference over the seeds that both have, its interval and the verdict; empty where there is none."""
    if rows is reference or (found := difference(rows, reference)) is None:
        return ' | '
    mean, low, high = found
    return f'{mean:+.2f} [{low:+.2f}, {high:+.2f}] | {verdict(low, high)}'


def difference(rows: dict[int, dict], reference: dict[int, dict]) -> tuple[float, float, float] | None:
    """Mean difference in points over the seeds that both have, and its 95 % interval by a bootstrap over images and
    seeds; None where they have none in common.

    Of few seeds it says little: with one, nothing, with three their part of the variance is a third too small.
    """
    seeds = sorted(rows.keys() & reference.keys())
    if not seeds:
        return None
    own, others = (np.stack([judging(found[seed]) for seed in seeds]) for found in (rows, reference))
    if own.ndim == 2:  # (seeds, images) of bits, of which a mean of differences is exact
        each, measure = own - others, np.mean
    else:
        each = np.stack([own, others], axis=2)  # (seeds, images, 2, 4, classes)
        measure = _mean_difference
    low, high = 100 * np.quantile(drawn(each, measure), [0.025, 0.975])
    return 100 * measure(each), low, high


def _mean_difference(areas: np.ndarray) -> float:
    """Mean over seeds of the difference of two segmentors' mIoU; areas as in :func:`difference`."""
    return np.mean([performance(own) - performance(other) for own, other in areas.swapaxes(1, 2)])


def drawn(each: np.ndarray, measure: Callable, num_draws: int = NUM_DRAWS) -> list[float]:
    """A measure of (seeds, images, ...) on some draws of both."""
    rng = np.random.default_rng(0)
    num_seeds, num_images = each.shape[:2]
    return [measure(each[rng.integers(num_seeds, size=num_seeds)][:, rng.integers(num_images, size=num_images)])
            for _ in range(num_draws)]


def verdict(low: float, high: float) -> str:
    """What an interval says of a difference."""
    return 'tie' if low <= 0 <= high else 'better' if low > 0 else 'worse'


def judging(row: dict) -> np.ndarray:
    """What a student made of each judging image, as :func:`judged` wrote it.

    Returns:
        Of a classifier :func:`bits`; of a segmentor areas, (images, 4, classes), as IoUMetric collects them.
    """
    if 'areas' not in row:
        return bits(row)
    flat = np.frombuffer(zlib.decompress(base64.b64decode(row['areas'])), dtype=np.int32)
    return flat.reshape(row['images'], 4, -1).astype(float)


def bits(row: dict) -> np.ndarray:
    """1 where the student was right, in the order of the judging images."""
    packed = np.frombuffer(base64.b64decode(row['right']), dtype=np.uint8)
    return np.unpackbits(packed)[:row.get('images', JUDGED_A_CLASS * NUM_CLASSES)].astype(float)


# --- figures ---

def save_figure(fig, path: Path, rows: list[dict]) -> None:
    """Write a figure, with the rows that it draws in its metadata, by which one that has fallen behind is known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=150, metadata={'Title': title_of(rows)})


def title_of(rows: list[dict]) -> str:
    """How many rows, and a digest of what a figure takes from them, in whatever order they were finished."""
    drawn = sorted([row['point'], row['seed'], row['accuracy'], row['macs']] for row in rows)
    return f'{len(drawn)} rows, {digest(drawn)}'
