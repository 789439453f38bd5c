"""Lengths of the trainings from a budget: what a whole run may cost.

A budget is counted in runs of plain distillation: scoring, and for each student as many epochs as the section
``student`` says, with the whole network, or the one that is not pruned, as the teacher. What the other stages cost is
taken off, and trainings whose epochs a method fixes; the other trainings share the rest as their epochs in the config
are to each other. Later trainings follow what earlier stages have really spent and chosen, so that a cheap assistant
buys more epochs. Neither a teacher that is trained first nor the final test is part of it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmamd.selection.table import amount_text

if TYPE_CHECKING:
    from mmamd.pipeline.context import Context
    from mmamd.pipeline.stages.distil import Distil

BEYOND = ('teacher', 'export')  # kinds of stages that no budget counts
HALVINGS = 40  # of the share of epochs; far finer than one epoch
EPOCHS = ('begin', 'end', 'T_max', 'periods', 'milestones', 'total_iters')  # of a scheduler by epoch


def plain_run(context: 'Context') -> float:
    """MACs of plain distillation of every student by the config's own schedule, the unit of budgets."""
    scoring = sum(stage.macs(context) for stage in context.stages if stage.kind in ('score', 'black_box'))
    taught = context.teacher_cost if context.black_box is None else context.black_box.cost
    *_, student = (stage for stage in context.stages if stage.kind == 'distil' and stage.section == 'student')
    return scoring + student.images_seen * sum(taught.macs + 3 * each.macs for each in context.student_costs)


def epochs_within(stage: 'Distil', context: 'Context') -> int:
    """The whole number of epochs that is nearest to what the budget leaves for a training.

    Raises:
        ValueError: If that is none.
    """
    fixed, trainings = 0., []
    for other in context.stages:
        spent = None if other is stage else context.spent(other.name)
        if other.kind in BEYOND:
            continue
        if other.kind == 'distil' and spent is None and other.budget is not None:
            trainings.append(other)
        else:
            fixed += other.macs(context) if spent is None else spent
    unit = plain_run(context)

    def cost(share: float) -> float:
        """Of the run, with so large a share of the epochs of the config."""
        return fixed + sum(each.macs_of(context, share * each.recipe_epochs) for each in trainings)

    # A cost that only rises is inverted by halving: with a cache it does not rise by the same for every epoch.
    low, high = 0., 1.
    while cost(high) < stage.budget * unit:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < stage.budget * unit else (low, middle)
    epochs = round(stage.recipe_epochs * low)
    if epochs < 1:
        raise ValueError(
            f'compression.budget={stage.budget:g} leaves {stage.recipe_epochs * low:.2f} epochs for the stage '
            f"'{stage.name}', since all that no budget shortens costs {fixed / unit:.2f} runs of plain distillation; "
            f'give at least {cost(1 / stage.recipe_epochs) / unit:.2f}, or fewer candidates or images '
            '(compression.num_candidates, compression.importance, compression.refit, method.tune_epochs)')
    return epochs


def stretched(schedulers: Any, before: int, epochs: int) -> Any:
    """Schedulers of a training of ``before`` epochs, for one of ``epochs``; those that count steps stay as they are.

    Where a warm-up would be all, as in one epoch, what follows it takes its place.
    """
    if isinstance(schedulers, (list, tuple)):
        return _without_mere_warm_up([stretched(each, before, epochs) for each in schedulers], epochs)
    if not isinstance(schedulers, dict) or not schedulers.get('by_epoch', True):
        return schedulers

    def stretch(value: Any) -> Any:
        if isinstance(value, Sequence):
            return [stretch(each) for each in value]
        return value if isinstance(value, bool) or not isinstance(value, (int, float)) else max(
            min(1, value), round(value * epochs / before))

    return {key: stretch(value) if key in EPOCHS else value for key, value in schedulers.items()}


def _without_mere_warm_up(schedulers: list, epochs: int) -> list:
    """The last scheduler that would begin when all epochs are over begins at once, and is the only one by epoch."""
    by_epoch = [each for each in schedulers if isinstance(each, dict) and each.get('by_epoch', True)]
    late = [each for each in by_epoch if each.get('begin', 0) >= epochs]
    if not late:
        return schedulers
    return [each for each in schedulers if each not in by_epoch] + [{**late[-1], 'begin': 0}]


def plan_of(context: 'Context') -> list[str]:
    """Lines that say what a run will cost, in runs of plain distillation; stage by stage where it has a budget."""
    if not any(stage.kind == 'distil' and stage.section == 'student' for stage in context.stages):
        return []
    unit = plain_run(context)
    if context.settings.compression.budget is None:
        macs = sum(stage.macs(context) for stage in context.stages)
        return [f'plan: {amount_text(round(macs))} MACs, {macs / unit:.2f} runs of plain distillation']
    lines, total = [], 0.
    for stage in context.stages:
        if stage.kind in BEYOND:
            continue
        cost = stage.macs(context) / unit
        total += cost
        epochs = f'{stage.epochs(context)} epochs' if stage.kind == 'distil' else ''
        lines.append(f'    {stage.name:<16}{cost:>8.3f}  {epochs}'.rstrip())
    return [f'plan: {total:.2f} runs of plain distillation; a training goes by what is spent before it', *lines]
