"""A hook that kills its own process with SIGKILL in the middle of the second epoch of the stage in KILL_IN."""

import os
import signal
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if (Path(runner.work_dir).name, runner.epoch, batch_idx) == (os.environ.get('KILL_IN'), 1, 4):
            os.kill(os.getpid(), signal.SIGKILL)
