"""Lengths of the trainings from a budget: what a whole run may cost.

A budget is counted in runs of plain distillation: scoring, and for each student as many epochs as the section
``student`` says, with the whole network, or the one that is not pruned, as the teacher. What the other stages cost is
taken off, and trainings whose epochs a method fixes; the other trainings share the rest as their epochs in the config
are to each other. Later trainings follow what earlier stages have really spent and chosen, so that a cheap assistant
buys more epochs. Neither a teacher that is trained first nor the final test is part of it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mmamd.selection.table import amount_text

if TYPE_CHECKING:
    from mmamd.pipeline.context import Context
    from mmamd.pipeline.stages.distil import Distil

BEYOND = ('teacher', 'export')  # kinds of stages that no budget counts
HALVINGS = 40  # of the share of epochs; far finer than one epoch
# Of a scheduler, what says when and for how long, in epochs or steps.
LENGTHS = ('begin', 'end', 'T_max', 'periods', 'milestones', 'total_iters', 'step_size', 'total_steps')
WARM_UPS = ('LinearLR', 'ConstantLR')


def plain_run(context: 'Context') -> float:
    """MACs of plain distillation of every student by the config's own schedule, the unit of budgets."""
    scoring = sum(stage.macs(context) for stage in context.stages if stage.kind in ('score', 'black_box'))
    taught = context.teacher_cost if context.black_box is None else context.black_box.cost
    *_, student = (stage for stage in context.stages if stage.kind == 'distil' and stage.section == 'student')
    return scoring + student.images_seen * sum(taught.macs + 3 * each.macs for each in context.student_costs)


def epochs_within(stage: 'Distil', context: 'Context') -> int:
    """The whole number of epochs that is nearest to what the budget leaves for a training.

    Of a training that is over, what it was to cost says how many there were.

    Raises:
        ValueError: If that is none.
    """
    if (own := context.planned(stage.name)) is not None:
        return max(1, round(_inverse(lambda epochs: stage.macs_of(context, epochs), own, stage.recipe_epochs)))
    fixed, trainings = 0., []
    for other in context.stages:
        spent = context.spent(other.name)
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

    left = stage.recipe_epochs * _inverse(cost, stage.budget * unit, 1.)
    epochs = round(left)
    if epochs < 1:
        raise ValueError(
            f'compression.budget={stage.budget:g} leaves {left:.2f} epochs for the stage '
            f"'{stage.name}', since all that no budget shortens costs {fixed / unit:.2f} runs of plain distillation; "
            f'give at least {cost(1 / stage.recipe_epochs) / unit:.2f}, or fewer candidates or images '
            '(compression.num_candidates, compression.importance, compression.refit, method.tune_epochs)')
    return epochs


def _inverse(cost: Callable[[float], float], target: float, high: float) -> float:
    """Where a cost that only rises reaches a target, by halving: with a cache it does not rise evenly."""
    low = 0.
    while cost(high) < target:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < target else (low, middle)
    return low


def stretched(schedulers: Any, before: int, epochs: int) -> Any:
    """Schedulers of a training of ``before`` epochs, for one of ``epochs``.

    A warm-up that counts steps keeps them, and what follows it begins where it ends. Where a warm-up by epoch would be
    all, as in one epoch, what follows it takes its place.
    """
    if isinstance(schedulers, (list, tuple)):
        kept = {each.get('end') for each in schedulers if _warms_up_by_step(each)}
        return _without_mere_warm_up([_stretched(each, epochs / before, kept) for each in schedulers], epochs)
    return _stretched(schedulers, epochs / before, set())


def _stretched(scheduler: Any, factor: float, kept: set) -> Any:
    """One of them; of the places in ``kept`` a scheduler by step begins where it did."""
    if not isinstance(scheduler, dict) or _warms_up_by_step(scheduler):
        return scheduler

    def stretch(value: Any) -> Any:
        if isinstance(value, Sequence):
            return [stretch(each) for each in value]
        return value if isinstance(value, bool) or not isinstance(value, (int, float)) else max(
            min(1, value), round(value * factor))

    found = {key: stretch(value) if key in LENGTHS else value for key, value in scheduler.items()}
    begin = scheduler.get('begin', 0)
    if begin in kept and not scheduler.get('by_epoch', True):
        found['begin'] = begin
    if 'end' in found and scheduler.get('T_max') == scheduler['end'] - begin:
        found['T_max'] = max(1, found['end'] - found.get('begin', 0))
    return found


def _warms_up_by_step(scheduler: Any) -> bool:
    return isinstance(scheduler, dict) and not scheduler.get('by_epoch', True) and not scheduler.get('begin', 0) and (
        str(scheduler.get('type')).rpartition('.')[2] in WARM_UPS)


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
