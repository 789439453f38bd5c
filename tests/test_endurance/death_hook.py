"""A hook that kills one process, once in a run, in the middle of the second epoch of a training."""

import multiprocessing
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class DeathHook(Hook):
    """Args: victim: ``'rank'``, the last one, or ``'worker'`` of its data loader."""

    def __init__(self, victim):
        self.victim = victim

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        mark = Path(runner.work_dir).parent / 'died'
        if (runner.epoch, batch_idx, get_rank()) == (1, 2, get_world_size() - 1) and not mark.exists():
            mark.write_text(Path(runner.work_dir).name)
            is_rank = self.victim == 'rank'
            os.kill(os.getpid() if is_rank else multiprocessing.active_children()[0].pid, signal.SIGKILL)
