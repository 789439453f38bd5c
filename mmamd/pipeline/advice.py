"""Advice where a plan can run and cannot work well: one sentence each, with the remedy, before or as it happens."""

import math
import os
from collections.abc import Callable, Iterator

import torch
import torch.nn as nn
from mmengine.dist import is_main_process

from mmamd.files.json_file import read_json
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import Export, Select, Stage
from mmamd.pipeline.stages.budget import WARM_UPS
from mmamd.pipeline.stages.distil import Distil
from mmamd.pipeline.stages.training import TrainingStage
from mmamd.pipeline.state import RunState
from mmamd.selection.bootstrap import standard_error
from mmamd.structures import Selection

FEW_STEPS = 200  # of a training: fewer hardly move the weights
FAR_RATE = 4  # times the batch that a rate is meant for, or that part of it
MUCH = 0.1  # of a run's arithmetic, for the choices
FAR_BELOW = 0.8  # of the teacher's performance, for the largest candidate of a joint training
SEEN, ERRORS = 0.03, 3  # how far, at least, and in standard errors, a teacher is above its test value where it has been
GIB = 1 << 30


def advise_before(context: Context, state: RunState, say: Callable[[str], None]) -> None:
    """Say what is to be said of a plan before it is carried out, and note it; the first rank's only."""
    if is_main_process():
        state.content['advice'] = [*_of_trainings(context), *_of_choices(context),
                                   *_of_memory(context, memory_of_device())]
        state.save()
        for text in state.advice:
            say(f'advice: {text}')


def advise_after(stage: Stage, context: Context, state: RunState, say: Callable[[str], None]) -> None:
    """The same of what a stage has found."""
    if not is_main_process():
        return
    found = []
    if isinstance(stage, Select) and stage.are_slices:
        found = far_below(Selection.load(context.work_dir / stage.name / 'selection.json'))
    if isinstance(stage, Export) and (selections := state.of_kind('select')):
        tested = read_json(context.work_dir / stage.name / 'test_metrics.json')['teacher'][context.metric]
        found = seen_before(Selection.load(context.work_dir / selections[0] / 'selection.json'), tested / context.unit)
    if found := not_said(stage.name, found, state.advice):
        for text in found:
            say(f'advice: {text}')
        state.content['stages'][stage.name]['advice'] = found
        state.save()


def not_said(stage: str, found: list[str], advice: list[str]) -> list[str]:
    """What is new of what a stage has found: several choices may have judged the same candidates."""
    said = {text.partition(': ')[2] for text in advice}
    return [f'{stage}: {text}' for text in found if text not in said]


def _of_trainings(context: Context) -> list[str]:
    """What is to be said of the schedules; what several stages have in common is said once."""
    said: dict[str, list[str]] = {}
    for stage in context.stages:
        if isinstance(stage, TrainingStage):
            epochs = stage.epochs(context) if isinstance(stage, Distil) else stage.schedule['train_cfg']['max_epochs']
            schedule = stage.schedule_of(epochs) if isinstance(stage, Distil) else stage.schedule
            batch = (stage.loader.settings.get('batch_size') or 1) * stage.processes
            steps = stage.images_seen / stage.schedule['train_cfg']['max_epochs'] / batch
            steps = max(1, math.floor(steps) if stage.loader.settings.get('drop_last') else math.ceil(steps))
            for text in [*rate_advice(schedule, batch), *length_advice(schedule, epochs, steps)]:
                said.setdefault(text, []).append(stage.name)
    return [f'{", ".join(stages)}: {text}' for text, stages in said.items()]


def rate_advice(schedule: dict, batch: int) -> Iterator[str]:
    """Whether the rate is meant for steps of many more or fewer images than a step has."""
    scaling = schedule.get('auto_scale_lr') or {}
    base, lr = scaling.get('base_batch_size'), (schedule['optim_wrapper'].get('optimizer') or {}).get('lr')
    if base and lr and not scaling.get('enable') and not batch / FAR_RATE < base < batch * FAR_RATE:
        yield (f'the rate {lr:g} is meant for steps of {base} images and a step has {batch}; add --auto-scale-lr '
               f'(auto_scale_lr.enable=True), or set optim_wrapper.optimizer.lr={lr * batch / base:.2g}')


def length_advice(schedule: dict, epochs: int, steps_of_epoch: int) -> Iterator[str]:
    """Whether a training has too few steps, or spends all of them on its warm-up."""
    steps = epochs * steps_of_epoch
    if steps < FEW_STEPS:
        yield (f'it has {steps} steps in all, and fewer than {FEW_STEPS} hardly move the weights; train '
               f'{math.ceil(FEW_STEPS / steps_of_epoch)} epochs (train_cfg.max_epochs), or with a smaller '
               'train_dataloader.batch_size')
    schedulers = schedule.get('param_scheduler') or []
    for each in schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]:
        if str(each.get('type')).rpartition('.')[2] not in WARM_UPS or 'end' not in each:
            continue
        end, length, unit = ((each['end'], epochs, 'epochs') if each.get('by_epoch', True) else
                             (each['end'], steps, 'steps'))
        if end >= length and each.get('begin', 0) < length:
            yield (f'its warm-up of {end} {unit} is as long as the training, {length}; set end= of the {each["type"]} '
                   f'in param_scheduler to {max(1, length // 10)}, or train longer')


def _of_choices(context: Context) -> list[str]:
    """What is to be said of what the choices take, and of rules that spare where little is left to be spared."""
    macs = {stage.name: stage.macs(context) for stage in context.stages}
    choices = [stage for stage in context.stages if isinstance(stage, Select) and macs[stage.name]]
    tested = sum(macs[stage.name] * stage.images['test'].num / sum(images.num for images in stage.images.values())
                 for stage in choices if 'test' in stage.images)
    found = choice_advice(sum(macs[stage.name] for stage in choices), tested, sum(macs.values()))
    is_kept = any(isinstance(stage, Distil) and stage.teacher_cache is not None for stage in context.stages)
    return [*(f'{", ".join(stage.name for stage in choices)}: {text}' for text in found),
            *(f'{stage.name}: {text}' for stage in context.stages if isinstance(stage, Select)
              for text in rule_advice(stage.rule.rule, stage.are_slices, is_kept))]


def choice_advice(judging: float, tested: float, whole: float) -> Iterator[str]:
    """Whether judging networks takes much of a run, and the test images, which no rule reads, a part of that.

    Args:
        judging: MACs of all choices.
        tested: Those of them on test images.
        whole: MACs of the run.
    """
    if tested and judging > MUCH * whole:
        yield (f"to judge the networks takes {judging / whole:.0%} of the run's arithmetic; no rule reads what they do "
               f'on the test images, and report_test=False of the NPSDSelectionHook in custom_hooks leaves it out, '
               f'which spares {tested / whole:.0%}')


def rule_advice(rule: str, are_trained: bool, is_kept: bool) -> Iterator[str]:
    """Whether a rule takes a cheap assistant where little is left to be spared.

    Args:
        rule: Its name.
        are_trained: Whether the candidates have been trained jointly: that is dearer than all that can be spared.
        is_kept: Whether who teaches is asked once a view, whatever its size.

    Source: results/2026-11-25_budgets.md, "Regret of the choice" and "What it says".
    """
    if rule == 'npsd_cost' and (are_trained or is_kept):
        why = ('the joint stage has been paid for by then' if are_trained else
               'with teacher_cache the assistant is asked once a view, whatever its size')
        yield (f"rule='npsd_cost' takes a small assistant to spare epochs, and {why}; set rule='npsd' in the "
               'NPSDSelectionHook of custom_hooks (docs/scales_and_rules.md)')


def far_below(selection: Selection) -> list[str]:
    """Whether the largest of some candidates that were trained jointly is far below the teacher."""
    sound = [m for m in selection.measurements if m.collapsed is None]
    if not sound or sound[-1].value >= FAR_BELOW * selection.reference.value:
        return []
    largest, reference = sound[-1], selection.reference
    whose = reference.name or 'the teacher'
    return [f'the largest candidate, {largest.key}, has {largest.value:.1%} where {whose} has '
            f'{reference.value:.1%}, so the joint training has unlearnt; train it longer (joint.train_cfg.max_epochs) '
            'or at a lower rate (joint.optim_wrapper.optimizer.lr), or take candidates that are refit: '
            "method.candidates='refit' with compression.refit=dict()"]


def seen_before(selection: Selection, tested: float) -> list[str]:
    """Whether the teacher does so much better on the held-out images than on the test images that it has seen them.

    Args:
        selection: On the held-out images.
        tested: What the teacher does on the test images, as a fraction.
    """
    reference = selection.reference
    noise = ERRORS * standard_error(reference.resampled) if reference.resampled else 0.
    if reference.name is not None or reference.value - tested <= max(SEEN, noise):
        return []
    return [f'the teacher has {reference.value:.1%} on the held-out images and {tested:.1%} on the test images, as if '
            'it had been trained on the former; what networks keep of it there is then too low a share, and --keep '
            'asks for more than it says: name images that it has not seen as the split val (val_dataloader, or a '
            'folder val/)']


# --- memory ---

def memory_of_device() -> int:
    """Bytes of the GPU, or of the machine where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _of_memory(context: Context, available: int) -> list[str]:
    network, found = context.network, []
    params = sum(p.numel() for p in network.parameters())
    for stage in context.stages:
        if not isinstance(stage, Distil) or not stage.is_candidate or stage.trains == 'losses':
            continue
        *smaller, largest = stage.candidates(context, context.flat_family.candidates, 1.)
        network.backbone.activate(largest.kept)
        images = stage.loader.settings.get('batch_size') or 1
        # Weights, gradients and two moments of AdamW in float32, the teachers' weights, and what a step keeps. One
        # candidate alone is cut out of the network.
        trained = params if smaller else largest.cost.params
        needed = 4 * (4 * trained + len(stage.teachers) * params) + images * bytes_kept(network, context.input_shape)
        if needed > available:
            found.append(f'{stage.name}: a step of {images} images takes about {needed / GIB:.1f} GiB, and the device '
                         f'has {available / GIB:.1f}; set train_dataloader.batch_size={max(1, images // 2)}, or train '
                         'in mixed precision (--amp)')
    network.backbone.activate(None)
    return found


def bytes_kept(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Bytes that a forward pass of one image keeps for the backward pass, weights not counted."""
    weights = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(
            keep, lambda tensor: tensor):
        output = network(torch.zeros(1, *input_shape), mode='tensor')  # kept until all is counted
    del output
    return sum(kept.values())
