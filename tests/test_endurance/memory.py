"""Resident memory of a process that runs the pipeline, after each of its batches.

As a script, ``memory.py WORK_DIR NUM``: repeats the refit of a run's smallest candidate, prints the bytes after each.
"""

import json
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmamd.pipeline.progress import Progress
from mmamd.pipeline.progress_hooks import TrainingProgressHook
from mmamd.pipeline.stages.refit import steps_of
from mmamd.pruning.refit import refit
from mmamd.structures import CandidateFamily
from mmamd.tasks import task_of
from mmamd.weights.networks import build_network, find_network

PAGE = os.sysconf('SC_PAGE_SIZE')


def resident() -> int:
    """Resident memory of this process in bytes."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE


def record() -> dict[str, list[int]]:
    """From now on, stage -> bytes after each batch: the moments at which a stage tells how far it is."""
    found = defaultdict(list)
    update, after_step = Progress.update, TrainingProgressHook.after_train_iter

    def told(self, stage, *args, **kwargs):
        found[stage].append(resident())
        update(self, stage, *args, **kwargs)

    def stepped(self, *args, **kwargs):
        found[self.stage].append(resident())
        after_step(self, *args, **kwargs)

    Progress.update, TrainingProgressHook.after_train_iter = told, stepped
    return found


def refits(work_dir: Path, num: int) -> list[int]:
    """Bytes after each of some refits; a refit keeps the streams of its images until it is done."""
    init_default_scope('mmpretrain')
    network = find_network(work_dir, 'nest')
    kept = CandidateFamily.load(work_dir / 'nest' / 'family.json').candidates[0].kept
    teacher, small = build_network(network), build_network(replace(network, kept=kept))
    batches = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0)).split(16)
    found = []
    for _ in range(num):
        refit(steps_of(teacher, task_of(teacher), True), {'small': steps_of(small, task_of(small), True)}, batches)
        found.append(resident())
    return found


if __name__ == '__main__':
    print(json.dumps(refits(Path(sys.argv[1]), int(sys.argv[2]))))
