"""Randomness as a function of (seed, stage, epoch, rank), so that a resumed run repeats an uninterrupted one."""

import os
import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmamd.registry import FUNCTIONS, HOOKS
from mmamd.seeds import derive_seed


def run_seed(cfg: Any, before: int | None) -> int:
    """The config's seed, the one drawn when the run began (``before``), or a new draw; the same on every rank."""
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is None:
        seed = before
    if seed is None:
        seed = int.from_bytes(os.urandom(4), 'big') >> 1
    shared = [seed]
    broadcast_object_list(shared)
    return shared[0]


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed each training epoch anew, before its data loader starts.

    The host seeds once a process and gives its workers one constant seed, so a resumed run would see other
    augmentation than an uninterrupted one, and every epoch the same. Each rank has a stream of its own.

    Args:
        stage: Name of the stage.
    """

    priority = 'HIGHEST'

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def before_train_epoch(self, runner: Runner) -> None:
        seed_all(derive_seed(runner.seed, self.stage, runner.epoch, get_rank()))


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed a loader's worker from the seed that torch gave it, which follows the epoch's."""
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
