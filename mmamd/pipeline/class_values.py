"""What a test has found of each class, which the host's metrics print and do not return."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.evaluator import Evaluator

from mmamd.tasks import Task


@contextmanager
def class_values(evaluator: Evaluator, task: Task) -> Iterator[list[float | None]]:
    """A list that a test fills with a value a class while the context lasts; see :meth:`Task.by_class`.

    It stays empty where no metric tells, and on all ranks but the first.
    """
    found: list[float | None] = []
    computed = {metric: metric.compute_metrics for metric in evaluator.metrics}

    def seen(metric, results):
        if not found:
            found.extend(task.by_class(results) or [])
        return computed[metric](results)

    try:
        for metric in computed:
            metric.compute_metrics = lambda results, metric=metric: seen(metric, results)
        yield found
    finally:
        for metric in computed:
            del metric.compute_metrics  # the class's own is seen again
