"""Students of finished runs side by side on one test split: accuracy, cost, seconds, and paired differences.

    python benchmarks/compare_runs.py work_dirs/amd work_dirs/kd ...    [--json results.json]

The difference of each student to the first one is bootstrapped over test images, the same images for both. An
interval that contains 0 is called a tie. The intervals say how certain the test split makes a difference between
these very weights; they say nothing about other seeds of training.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmamd
from mmamd.files.json_file import read_json
from mmamd.files.run_config import read_run_config

NUM_DRAWS = 2000
LEVEL = 0.95


@torch.no_grad()
def correct(work_dir: Path, split: str = 'test', scale: float | None = None) -> np.ndarray:
    """Whether the run's student is right, that of a scale of several: one boolean an image of a split."""
    cfg = read_run_config(work_dir)
    init_default_scope(cfg.default_scope)
    student = mmamd.load_student(work_dir, scale=scale)
    loader = Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0)
    return np.array([bool((sample.pred_label == sample.gt_label).all())
                     for batch in loader for sample in student.test_step(batch)])


def paired_difference(own: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Mean of own minus other, and its bootstrap interval, in fractions."""
    difference = own.astype(float) - other.astype(float)
    rng = np.random.default_rng(0)
    draws = [difference[rng.integers(len(difference), size=len(difference))].mean() for _ in range(NUM_DRAWS)]
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(difference.mean()), float(low), float(high)


def compare(work_dirs: list[Path]) -> list[dict]:
    """One row a run."""
    rights = [correct(work_dir) for work_dir in work_dirs]
    rows = []
    for work_dir, right in zip(work_dirs, rights, strict=True):
        summary = read_json(work_dir / 'summary.json')
        difference, low, high = paired_difference(right, rights[0])
        rows.append({
            'run': work_dir.name, 'test': float(right.mean()), 'macs': summary['student']['macs'],
            'params': summary['student']['params'],
            'assistants': [found['chosen']['scale'] for found in summary['selections']],
            'seconds': {name: stage['seconds'] for name, stage in summary['stages'].items()},
            'total_seconds': summary['cost']['seconds'],
            'difference': difference, 'low': low, 'high': high, 'seed': summary['record']['seed']})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    rows = compare(args.work_dirs)
    print(f'{"run":<28}{"assistant":>10}{"test %":>8}{"seconds":>9}   difference to the first, points [{LEVEL:.0%}]')
    for row in rows:
        verdict = 'tie' if row['low'] <= 0 <= row['high'] else ('better' if row['low'] > 0 else 'worse')
        assistants = ' '.join(f'{scale:.2f}' for scale in row['assistants']) or '-'
        text = '' if row is rows[0] else (f'{100 * row["difference"]:+.2f} [{100 * row["low"]:+.2f}, '
                                          f'{100 * row["high"]:+.2f}]  {verdict}')
        print(f'{row["run"]:<28}{assistants:>10}{100 * row["test"]:>8.2f}{row["total_seconds"]:>9.0f}   {text}')
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
