"""Networks that have collapsed: what they say of an image does not depend on it, or is no number."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.evaluator import BaseMetric

from mmamd.selection.bootstrap import interval
from mmamd.tasks import Task

NOT_FINITE = 'its logits are not finite'


@dataclass(frozen=True)
class Seen:
    """What the results of a network tell beside its performance.

    Attributes:
        is_finite: Whether its logits are.
        chance: Key of a metric -> performance of the best network that does not look at the images, as far as that is
            known. On few images it is a bit above one over the number of classes.
    """

    is_finite: bool
    chance: dict[str, float]

    @classmethod
    def of(cls, task: Task, metric: BaseMetric, results: list) -> 'Seen':
        """From what a metric has collected of all images."""
        unseeing = task.unseeing(results)
        return cls(task.is_finite(results), {} if unseeing is None else task.measure(metric, unseeing))

    def __or__(self, other: 'Seen') -> 'Seen':
        return Seen(self.is_finite and other.is_finite, self.chance | other.chance)


def collapse(seen: Seen, metric: str, value: float, teacher: float, resampled: Sequence[float]) -> str | None:
    """In what way a network has collapsed, in a clause; None for a sound one.

    At chance it has collapsed only where its teacher is above it, beyond noise: of a teacher that knows nothing there
    is nothing to lose.

    Args:
        seen: Of the network.
        metric: Key of the metric.
        value, teacher: Performance of the network and of the teacher.
        resampled: Bootstrap draws of the teacher's; without any it is taken as it is.
    """
    if not seen.is_finite:
        return NOT_FINITE
    chance = seen.chance.get(metric)
    if chance is None or value > chance or (interval(resampled)[0] if resampled else teacher) <= chance:
        return None
    return f'{metric} is {value:.4g}, and {chance:.4g} without a look at the images'
