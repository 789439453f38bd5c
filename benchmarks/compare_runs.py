"""Students of finished runs side by side on one test split: performance, cost, seconds, and paired differences.

    python benchmarks/compare_runs.py work_dirs/amd work_dirs/kd ...    [--json results.json]

Performance is accuracy, or the mIoU of segmentors, and what follows it the standard error of a bootstrap over test
images; areas are summed over the images of a draw. The difference of each student to the first one is that over the
same draws. An interval that contains 0 is called a tie. The intervals say how certain the test split makes a difference
between these very weights; they say nothing about other seeds of training.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from numpy.typing import NDArray

import mmamd
from mmamd.files.json_file import read_json
from mmamd.files.run_config import read_run_config
from mmamd.selection.bootstrap import LEVEL, interval, standard_error
from mmamd.tasks import Task, task_named
from mmamd.tasks.areas import areas_in

NUM_DRAWS = 2000


class Judged(NamedTuple):
    """A student on the test images: its performance as a fraction, and that on each draw of them."""

    value: float
    draws: NDArray


@torch.no_grad()
def correct(work_dir: Path, split: str = 'test', scale: float | None = None) -> np.ndarray:
    """Whether the run's student is right, that of a scale of several: one boolean an image of a split."""
    cfg = read_run_config(work_dir)
    init_default_scope(cfg.default_scope)
    student = mmamd.load_student(work_dir, scale=scale)
    loader = Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0)
    return np.array([bool((sample.pred_label == sample.gt_label).all())
                     for batch in loader for sample in student.test_step(batch)])


@torch.no_grad()
def areas(work_dir: Path, task: Task) -> NDArray:
    """Areas of the classes in each test image, (images, 4, classes), as the host's IoUMetric collects them."""
    from mmseg.evaluation import IoUMetric
    cfg = read_run_config(work_dir)
    init_default_scope(cfg.default_scope)
    student = mmamd.load_student(work_dir)
    loader = Runner.build_dataloader({'collate_fn': task.collate, **cfg.test_dataloader}, seed=0)
    metric = IoUMetric()
    metric.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        metric.process(batch, [sample.to_dict() for sample in student.test_step(batch)])
    return areas_in(metric.results).numpy()


def outcomes(work_dir: Path, scale: float | None = None) -> NDArray:
    """What a run's student, that of a scale of several, makes of each test image: :func:`correct` or :func:`areas`."""
    task = task_named(read_run_config(work_dir).get('default_scope'))
    return areas(work_dir, task) if task.scope == 'mmseg' else correct(work_dir, scale=scale)


def performance(each: NDArray) -> float:
    """Accuracy, or the mIoU over the classes that labels are of, as a fraction, of some images of :func:`outcomes`."""
    if each.ndim == 1:
        return each.mean()
    intersection, union, _, label = each.sum(axis=0)
    return (intersection[label > 0] / union[label > 0]).mean()


def judged(work_dir: Path) -> Judged:
    """The student of a run; the draws depend on the number of test images alone, so those of two runs are paired."""
    each = outcomes(work_dir)
    images = np.random.default_rng(0).integers(len(each), size=(NUM_DRAWS, len(each)))
    return Judged(float(performance(each)), np.array([performance(each[draw]) for draw in images]))


def compare(work_dirs: list[Path]) -> list[dict]:
    """One row a run.

    Raises:
        ValueError: If their test images differ.
    """
    summaries = [read_json(work_dir / 'summary.json') for work_dir in work_dirs]
    for work_dir, summary in zip(work_dirs, summaries, strict=True):
        if summary['record']['images']['test'] != summaries[0]['record']['images']['test']:
            raise ValueError(f'{work_dir} was tested on other images than {work_dirs[0]}, so that nothing is paired; '
                             'compare runs of one test split')
    found = [judged(work_dir) for work_dir in work_dirs]
    rows = []
    for work_dir, summary, each in zip(work_dirs, summaries, found, strict=True):
        low, high = interval(each.draws - found[0].draws)
        rows.append({
            'run': work_dir.name, 'test': each.value, 'stderr': standard_error(each.draws),
            'macs': summary['student']['macs'], 'params': summary['student']['params'],
            'assistants': [found['chosen']['scale'] for found in summary['selections']],
            'seconds': {name: stage['seconds'] for name, stage in summary['stages'].items()},
            'total_seconds': summary['cost']['seconds'],
            'difference': each.value - found[0].value, 'low': low, 'high': high, 'seed': summary['record']['seed']})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    rows = compare(args.work_dirs)
    print(f'{"run":<28}{"assistant":>10}{"test %":>16}{"seconds":>9}   difference to the first, points [{LEVEL:.0%}]')
    for row in rows:
        verdict = 'tie' if row['low'] <= 0 <= row['high'] else ('better' if row['low'] > 0 else 'worse')
        assistants = ' '.join(f'{scale:.2f}' for scale in row['assistants']) or '-'
        text = '' if row is rows[0] else (f'{100 * row["difference"]:+.2f} [{100 * row["low"]:+.2f}, '
                                          f'{100 * row["high"]:+.2f}]  {verdict}')
        test = f'{100 * row["test"]:.2f} +- {100 * row["stderr"]:.2f}'
        print(f'{row["run"]:<28}{assistants:>10}{test:>16}{row["total_seconds"]:>9.0f}   {text}')
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
