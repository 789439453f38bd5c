"""How far a run is, and how long it will still take: arithmetic on a plan, told to whoever listens."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

NOTIFY_SECONDS = 1.


@dataclass(frozen=True)
class StageProgress:
    """How far one stage is.

    Attributes:
        name: Name of the stage.
        state: ``'waiting'``, ``'running'`` or ``'finished'``.
        fraction: Of the stage's work, in [0, 1].
        seconds: Time spent on it so far, by this process and by earlier ones.
        seconds_left: None while no rate is known.
    """

    name: str
    state: str
    fraction: float
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True)
class Snapshot:
    """How far a run is at one moment.

    Attributes:
        stages: Every stage of the plan, in order.
        detail: What the running stage says of itself, such as its epoch and loss.
        fraction: Of the whole run's work, in [0, 1].
        seconds_left: Of the whole run; None while no rate is known.
    """

    stages: list[StageProgress]
    detail: str
    fraction: float
    seconds_left: float | None

    @property
    def running(self) -> StageProgress | None:
        """The stage that runs; None between stages."""
        return next((stage for stage in self.stages if stage.state == 'running'), None)


class Progress:
    """Remaining time of a run from the arithmetic of its stages.

    Each stage's work is planned in MACs before anything runs. What is left of a stage is planned work over the rate
    that this stage has reached, or over that of all stages so far where it has not begun, so the estimate knows that
    a stage of small candidates is a short one.

    Args:
        plan: Stage name -> planned MACs, in order.
        listeners: Called with a :class:`Snapshot` and a note: a line for people where a stage begins or ends, else
            None. Ranks after the first have none, and then progress costs nothing.
        clock: Seconds, from any origin.
    """

    def __init__(self, plan: dict[str, float], listeners: Sequence[Callable[[Snapshot, str | None], None]] = (),
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self._listeners = listeners
        self._clock = clock
        self._state = dict.fromkeys(plan, 'waiting')
        self._fraction = dict.fromkeys(plan, 0.)
        self._before = dict.fromkeys(plan, 0.)  # seconds spent by earlier processes
        # What this process has done, for the rates: MACs, and the seconds that they took.
        self._worked = dict.fromkeys(plan, 0.)
        self._timed = dict.fromkeys(plan, 0.)
        self._spent = dict.fromkeys(plan, 0.)  # like _timed, with what is no arithmetic
        self._detail = ''
        self._began = self._mark = clock()
        self._notified = -float('inf')

    # --- what a run tells ---

    def replan(self, plan: dict[str, float]) -> None:
        """The stages have been laid anew; what is known of those that stay is kept."""
        self.plan = plan
        for known in (self._fraction, self._before, self._worked, self._timed, self._spent):
            known.update(dict.fromkeys(plan.keys() - known.keys(), 0.))
        self._state.update(dict.fromkeys(plan.keys() - self._state.keys(), 'waiting'))

    def start(self, stage: str, seconds_before: float = 0., continued: bool = False) -> None:
        """A stage begins, or continues one that an earlier process spent ``seconds_before`` on."""
        self._state[stage] = 'running'
        self._before[stage] = seconds_before
        self._detail = ''
        self._began = self._mark = self._clock()
        position = list(self.plan).index(stage) + 1
        self._notify(f'[{position}/{len(self.plan)}] {stage}' + ' was interrupted; it continues' * continued)

    def resume(self, stage: str, fraction: float) -> None:
        """The stage's work begins now, at a fraction that was done by an earlier process."""
        self._fraction[stage] = fraction
        self._mark = self._clock()

    def is_due(self) -> bool:
        """Whether :meth:`update` would tell anyone; ask first where a detail is dear."""
        return bool(self._listeners) and self._clock() - self._notified >= NOTIFY_SECONDS

    def update(self, stage: str, fraction: float, detail: str = '') -> None:
        """A stage has got to a fraction of its work. Told at most once a second."""
        if self.is_due():
            self._advance(stage, fraction)
            self._detail = detail
            self._notify(None)

    def finish(self, stage: str) -> None:
        """A stage is done."""
        self._advance(stage, 1.)
        self._state[stage] = 'finished'
        self._detail = ''
        self._notify(f'    {stage} took {duration(self._before[stage] + self._spent[stage])}')

    def skip(self, stage: str, seconds: float = 0.) -> None:
        """A stage was finished by an earlier process, in ``seconds``."""
        self._state[stage] = 'finished'
        self._fraction[stage] = 1.
        self._before[stage] = seconds
        self._notify(f'{stage}: finished before, skipped')

    # --- what it amounts to ---

    def snapshot(self) -> Snapshot:
        """Where the run is, as plain data."""
        stages = [StageProgress(name, self._state[name], self._fraction[name], self._before[name] + self._spent[name],
                                self._seconds_left(name)) for name in self.plan]
        total = sum(self.plan.values())
        done = sum(work * self._fraction[name] for name, work in self.plan.items())
        left = [stage.seconds_left for stage in stages]
        return Snapshot(stages, self._detail, done / total if total else 0., None if None in left else sum(left))

    def _seconds_left(self, stage: str) -> float | None:
        work = self.plan[stage] * (1 - self._fraction[stage])
        if not work:
            return 0.
        own, overall = self._worked[stage], sum(self._worked.values())
        if own:
            return work * self._timed[stage] / own
        return work * sum(self._timed.values()) / overall if overall else None

    def _advance(self, stage: str, fraction: float) -> None:
        now = self._clock()
        self._worked[stage] += self.plan[stage] * max(0., fraction - self._fraction[stage])
        self._timed[stage] += now - self._mark
        self._spent[stage] = now - self._began
        self._mark = now
        self._fraction[stage] = fraction

    def _notify(self, note: str | None) -> None:
        if self._listeners:
            self._notified = self._clock()
            snapshot = self.snapshot()
            for listener in self._listeners:
                listener(snapshot, note)


def duration(seconds: float | None) -> str:
    """Seconds as hours, minutes and seconds; ``'?'`` for None."""
    return '?' if seconds is None else str(timedelta(seconds=round(seconds)))
