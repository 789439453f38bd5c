"""Hooks that tell how far a Runner of the host is."""

import time
from collections.abc import Callable, Sequence

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmamd.pipeline.progress import Progress


class TrainingProgressHook(Hook):
    """Tell :class:`Progress` about a training stage and give back the seconds of each epoch.

    Args:
        stage: Name of the stage.
        progress: The run's progress.
        spend: Called with the wall time of each epoch and its MACs, so that an interrupted stage does not lose them.
        macs_of_step: From the runner, after a step, to the MACs that an image of it took.
    """

    priority = 'VERY_LOW'

    def __init__(self, stage: str, progress: Progress, spend: Callable[[float, float], None],
                 macs_of_step: Callable[[Runner], int] = lambda _: 0) -> None:
        self.stage = stage
        self.progress = progress
        self.spend = spend
        self.macs_of_step = macs_of_step
        self._mark = time.monotonic()
        self._macs = 0.

    def before_train(self, runner: Runner) -> None:
        self._mark = time.monotonic()
        self.progress.resume(self.stage, runner.iter / runner.max_iters)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        self._macs += self.macs_of_step(runner) * len(data_batch['inputs']) * get_world_size()
        if self.progress.is_due():  # reading a loss waits for the GPU, so not in every iteration
            detail = f'epoch {runner.epoch + 1}/{runner.max_epochs}  loss {outputs["loss"].item():.3f}'
            self.progress.update(self.stage, (runner.iter + 1) / runner.max_iters, detail)

    def after_train_epoch(self, runner: Runner) -> None:
        now = time.monotonic()
        self.spend(now - self._mark, self._macs)
        self._mark, self._macs = now, 0.


class EvaluationProgressHook(Hook):
    """Tell :class:`Progress` about passes over splits, each of which is a part of its stage.

    Args:
        stage: Name of the stage.
        progress: The run's progress.
        **parts: ``val`` or ``test`` -> (begin, end) of the pass within the stage, as fractions.
    """

    priority = 'VERY_LOW'

    def __init__(self, stage: str, progress: Progress, **parts: tuple[float, float]) -> None:
        self.stage = stage
        self.progress = progress
        self.parts = parts

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence | None = None) -> None:
        self._tell('val', (batch_idx + 1) / len(runner.val_dataloader), 'held-out images')

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence | None = None) -> None:
        self._tell('test', (batch_idx + 1) / len(runner.test_dataloader), 'test images')

    def _tell(self, split: str, fraction: float, detail: str) -> None:
        begin, end = self.parts[split]
        self.progress.update(self.stage, begin + (end - begin) * fraction, detail)
