"""Lengths of the trainings from a budget: what a whole run may cost.

A budget is counted in runs of plain distillation: scoring, and as many epochs as the section ``student`` says, with the
whole network as the teacher. What the other stages cost is taken off; the trainings share the rest as their epochs in
the config are to each other. Later trainings follow what earlier stages have really spent and chosen, so that a cheap
assistant buys more epochs. Neither a teacher that is trained first nor the final test is part of it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmamd.pipeline.context import Context
    from mmamd.pipeline.stages.distil import Distil

BEYOND = ('teacher', 'export')  # kinds of stages that no budget counts
EPOCHS = ('begin', 'end', 'T_max', 'periods', 'milestones', 'total_iters')  # of a scheduler by epoch


def plain_run(context: 'Context') -> float:
    """MACs of plain distillation by the config's own schedule, the unit of budgets."""
    scoring = sum(stage.macs(context) for stage in context.stages if stage.kind == 'score')
    *_, student = (stage for stage in context.stages if stage.kind == 'distil' and stage.section == 'student')
    return scoring + student.images_seen * (context.teacher_cost.macs + 3 * context.student_cost.macs)


def epochs_within(stage: 'Distil', context: 'Context') -> int:
    """The whole number of epochs that is nearest to what the budget leaves for a training.

    Raises:
        ValueError: If that is none.
    """
    fixed = shared = 0.
    for other in context.stages:
        spent = None if other is stage else context.spent(other.name)
        if other.kind in BEYOND:
            continue
        if spent is not None:
            fixed += spent
        elif other.kind == 'distil':
            shared += other.recipe_macs(context)
        else:
            fixed += other.macs(context)
    unit = plain_run(context)
    share = (stage.budget * unit - fixed) / shared
    epochs = round(stage.recipe_epochs * share)
    if epochs < 1:
        raise ValueError(
            f'compression.budget={stage.budget:g} leaves {max(0., stage.recipe_epochs * share):.2f} epochs for the '
            f"stage '{stage.name}', since the stages that do not train cost {fixed / unit:.2f} of a run of plain "
            f'distillation; give at least {(fixed + shared / stage.recipe_epochs) / unit:.2f}, or fewer candidates or '
            'images (compression.num_candidates, compression.importance, compression.refit)')
    return epochs


def stretched(schedulers: Any, before: int, epochs: int) -> Any:
    """Schedulers of a training of ``before`` epochs, for one of ``epochs``; those that count steps stay as they are."""
    if isinstance(schedulers, (list, tuple)):
        return [stretched(each, before, epochs) for each in schedulers]
    if not isinstance(schedulers, dict) or not schedulers.get('by_epoch', True):
        return schedulers

    def stretch(value: Any) -> Any:
        if isinstance(value, Sequence):
            return [stretch(each) for each in value]
        return value if isinstance(value, bool) or not isinstance(value, (int, float)) else max(
            min(1, value), round(value * epochs / before))

    return {key: stretch(value) if key in EPOCHS else value for key, value in schedulers.items()}


def plan_of(context: 'Context') -> list[str]:
    """Lines that say what each stage of a run will cost, in runs of plain distillation."""
    unit = plain_run(context)
    lines = []
    for stage in context.stages:
        if stage.kind in BEYOND:
            continue
        epochs = f'{stage.epochs(context)} epochs' if stage.kind == 'distil' else ''
        lines.append(f'    {stage.name:<16}{stage.macs(context) / unit:>8.3f}  {epochs}'.rstrip())
    total = sum(stage.macs(context) for stage in context.stages if stage.kind not in BEYOND)
    return [f'plan: {total / unit:.2f} runs of plain distillation; a training goes by what is spent before it',
            *lines]
