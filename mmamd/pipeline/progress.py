"""How far a run is, and how long it will still take."""

import time
from collections.abc import Callable
from datetime import timedelta

from mmengine.hooks import Hook
from mmengine.runner import Runner

EVERY_SECONDS = 10.


class Progress:
    """Remaining time of a run from the arithmetic of its stages.

    Each stage's work is planned in MACs before anything runs. What is left is planned work over the rate reached so
    far, so the estimate knows that a stage of small candidates is a short one.

    Args:
        plan: Stage name -> planned MACs, in order.
        say: Where lines go.
    """

    def __init__(self, plan: dict[str, float], say: Callable[[str], None]) -> None:
        self.plan = plan
        self.say = say
        self._done: dict[str, float] = dict.fromkeys(plan, 0.)
        self._seconds = 0.
        self._worked = 0.
        self._mark = time.monotonic()
        self._said = 0.

    def start(self, stage: str) -> None:
        """A stage begins."""
        self._mark = time.monotonic()
        position = list(self.plan).index(stage) + 1
        self.say(f'[{position}/{len(self.plan)}] {stage}')

    def resume(self, stage: str, fraction: float) -> None:
        """A stage continues at a fraction of its work, done by an earlier process."""
        self._done[stage] = fraction
        self._mark = time.monotonic()

    def update(self, stage: str, fraction: float, detail: str = '') -> None:
        """A stage has got to a fraction of its work; says so at most every ten seconds."""
        now = time.monotonic()
        self._seconds += now - self._mark
        self._worked += self.plan[stage] * max(0., fraction - self._done[stage])
        self._mark = now
        self._done[stage] = fraction
        if now - self._said >= EVERY_SECONDS and fraction < 1:
            self._said = now
            stage_left = self._time_of(self.plan[stage] * (1 - fraction))
            run_left = self._time_of(sum(work * (1 - self._done[name]) for name, work in self.plan.items()))
            self.say(f'    {stage} {fraction:4.0%}{detail}   left: stage {stage_left}, run about {run_left}')

    def finish(self, stage: str) -> None:
        self.update(stage, 1.)

    def skip(self, stage: str) -> None:
        self._done[stage] = 1.

    def _time_of(self, work: float) -> str:
        if not self._worked:
            return '?'
        return str(timedelta(seconds=round(work * self._seconds / self._worked)))


class ProgressHook(Hook):
    """Tell :class:`Progress` about a training stage and give back the seconds of each epoch.

    Args:
        stage: Name of the stage.
        progress: None on all ranks but the first.
        spend: Called with the wall time of each epoch, so that an interrupted stage does not lose it.
    """

    priority = 'VERY_LOW'

    def __init__(self, stage: str, progress: Progress | None, spend: Callable[[float], None]) -> None:
        self.stage = stage
        self.progress = progress
        self.spend = spend
        self._mark = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        self._mark = time.monotonic()
        if self.progress is not None:
            self.progress.resume(self.stage, runner.iter / runner.max_iters)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        # Reading a loss waits for the GPU, so not in every iteration.
        if self.progress is not None and batch_idx % 10 == 0:
            detail = f'  epoch {runner.epoch + 1}/{runner.max_epochs}  loss {outputs["loss"].item():.3f}'
            self.progress.update(self.stage, (runner.iter + 1) / runner.max_iters, detail)

    def after_train_epoch(self, runner: Runner) -> None:
        now = time.monotonic()
        self.spend(now - self._mark)
        self._mark = now
