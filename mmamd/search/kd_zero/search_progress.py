"""How far a stage is that searches distillers: in evaluations, and within the one that is carried out."""

from collections.abc import Sequence

from mmamd.pipeline.progress import Progress
from mmamd.search.kd_zero.evolution import Trial, best, is_evaluated


class SearchProgress:
    """Tells the progress of a run about the searches of a stage, one after the other.

    Args:
        stage: Name of the stage.
        progress: The run's.
        evaluations: Of each search.
        searches: Their number.
    """

    def __init__(self, stage: str, progress: Progress, evaluations: int, searches: int) -> None:
        self.stage, self.progress, self.evaluations, self.searches = stage, progress, evaluations, searches
        self.over, self.done, self.detail = -1, 0, ''

    def begin(self) -> None:
        """The next search begins, or goes on."""
        self.over, self._is_known = self.over + 1, False

    def trials(self, trials: Sequence[Trial]) -> None:
        """What has been tried so far. The first time it is what an earlier process has done, and takes no time."""
        self.done = sum(map(is_evaluated, trials))
        least = ''.join(f', the best {trial.fitness:.3f}' for trial in best(trials, 1))
        self.detail = f'{self.done} of {self.evaluations} distillers{least}'
        if self._is_known:
            self.within(0.)
        else:
            self.progress.resume(self.stage, self._fraction(0.))
            self._is_known = True

    def within(self, share: float) -> None:
        """So much of the training of a trial is done."""
        self.progress.update(self.stage, self._fraction(share), self.detail)

    def _fraction(self, share: float) -> float:
        return (self.over + min(1., (self.done + share) / self.evaluations)) / self.searches
