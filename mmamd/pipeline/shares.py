"""What each student of a run has cost: its own stages, and its part of those that it has in common with others."""

from collections.abc import Sequence

from mmamd.pipeline.stages import Stage


def shares_of_students(stages: Sequence[Stage], delivered: Sequence[str], spent: dict[str, float]) -> list[float]:
    """What of a run's cost falls to each student; they add up to all of it.

    A stage falls in equal parts to the students that need what it has made, and to all where none does, as the final
    test and sizes that were tried in vain.

    Args:
        stages: Of the run, in order.
        delivered: References to the students.
        spent: Name of a stage -> what it has taken, in any unit.
    """
    by_name = {stage.name: stage for stage in stages}
    needs = [_needed(reference, by_name) for reference in delivered]
    shares = [0.] * len(delivered)
    for name, cost in spent.items():
        users = [i for i, needed in enumerate(needs) if name in needed] or range(len(delivered))
        for i in users:
            shares[i] += cost / len(users)
    return shares


def _needed(reference: str, stages: dict[str, Stage]) -> set[str]:
    """Names of the stages that a network comes from."""
    waiting, found = [reference], set()
    while waiting:
        name = waiting.pop().partition('@')[0]
        if name in found or name not in stages:
            continue
        found.add(name)
        stage = stages[name]
        waiting += stage.networks() + [file.partition('/')[0] for file in stage.files()]
    return found
