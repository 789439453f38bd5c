"""Memory stays flat: what a batch needs is given back, however many there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import memory
import pytest

ROOT = Path(__file__).parents[2]
# Bytes by which the mean of the last quarter of 200 batches may lie above that of the second; the first warms up. Had
# each of the hundred steps between them left its images behind, 12 KiB, it would be 1.2 MiB.
MOST_GROWTH = 2**19
# Between two evaluations of a stage lies what is done with the first: choosing, drawing, ONNX Runtime's check.
EVALUATIONS = {'select': (285, 355), 'export': (355, 355)}  # held-out and test images; the teacher's and the student's
NUM = 200


def growth(found):
    """Mean of the last quarter minus that of the second, in bytes."""
    quarter = len(found) // 4
    return (sum(found[-quarter:]) - sum(found[quarter:2 * quarter])) / quarter


def assert_flat(what, found):
    print(f'{what}: {len(found)} batches, {found[-1] / 2**20:.1f} MiB at the end, '
          f'grown by {growth(found) / 2**20:.2f} MiB')
    assert len(found) >= NUM
    assert growth(found) <= MOST_GROWTH, what


@pytest.mark.slow
def test_no_stage_needs_more_memory_at_its_end(start, tiny_config, tmp_path):
    images = {f'{split}_dataloader.dataset.dataset.indices': None for split in ('train', 'val')}
    tiny_config(**images, **{
        'test_dataloader.dataset.indices': None, 'train_dataloader.num_workers': 0,  # all digits: 72 steps an epoch
        'model.teacher': None, 'teacher': dict(train_cfg=dict(max_epochs=20)),  # of 10 steps
        'compression.importance': dict(num_images=800, batch_size=4),
        'val_dataloader.batch_size': 1, 'test_dataloader.batch_size': 1}).dump(tmp_path / 'config.py')
    assert start(tmp_path / 'config.py', tmp_path / 'run', memory=tmp_path / 'memory.json') == 0, \
        (tmp_path / 'run.log').read_text()[-4000:]
    found = json.loads((tmp_path / 'memory.json').read_text())
    assert list(found) == ['teacher', 'score', 'joint', 'select', 'student', 'export']
    for stage, values in found.items():
        if stage not in EVALUATIONS:
            assert_flat(stage, values)
        for number, num_images in enumerate(EVALUATIONS.get(stage, ())):
            one, values = values[:num_images], values[num_images:]
            assert_flat(f'{stage}, evaluation {number + 1}', one)


@pytest.mark.slow
def test_a_refit_gives_back_the_streams_that_it_keeps(refit_run):
    done = subprocess.run([sys.executable, memory.__file__, refit_run[0], str(NUM)], check=True, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert_flat('refit, repeated', json.loads(done.stdout.splitlines()[-1]))
