"""Networks that have collapsed: what they say of an image does not depend on it, or is no number."""

from mmengine.evaluator import BaseMetric

from mmamd.tasks import Task

NOT_FINITE = 'its logits are not finite'


def collapse(task: Task, metric: BaseMetric, results: list, values: dict[str, float]) -> dict[str, str]:
    """Key of a metric -> in what way a network has collapsed by it, in a clause; empty for a sound network.

    A network whose performance is at most that of the best one which does not look at the images is at chance. On few
    images that is a bit above one over the number of classes.

    Args:
        task: Of the network.
        metric: Which has collected the results.
        results: Of all images.
        values: What the metric makes of them; larger is better.
    """
    if not task.is_finite(results):
        return dict.fromkeys(values, NOT_FINITE)
    unseeing = task.unseeing(results)
    if unseeing is None:
        return {}
    chance = task.measure(metric, unseeing)
    return {key: f'{key} is {value:.4g}, and {chance[key]:.4g} without a look at the images'
            for key, value in values.items() if value <= chance[key]}


def collapse_of(found: dict[str, dict[str, str]], name: str, metric: str) -> str | None:
    """In what way a network has collapsed by a metric; None for a sound one, and at chance where its teacher is, too.

    Args:
        found: Name of a network -> what :func:`collapse` has found; the teacher's under ``'teacher'``.
        name: Of the network.
        metric: Key of the metric.
    """
    own, teachers = (found[each].get(metric) for each in (name, 'teacher'))
    return None if own != NOT_FINITE and teachers else own
