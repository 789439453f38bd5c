"""The stages of a run in order, with what each one reads and how much arithmetic it is."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from mmengine.dist import get_world_size

from mmamd.distillation.samplers import sample_candidates
from mmamd.distillation.sandwich_hook import SandwichSparsityHook
from mmamd.pipeline import stages
from mmamd.pipeline.settings import is_hook, leaf_datasets, pretrained_sources, stage_settings, teacher_settings
from mmamd.pipeline.stages import Context, numbered
from mmamd.weights.sources import local_file

_SCHEDULE_KEYS = ('train_cfg', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'auto_scale_lr')


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: Name, and folder under the work_dir.
        run: What it does.
        reads: Values of the config that its outcome depends on, by name.
        files: Files it reads, by name: relative to the work_dir, or a path of the user's.
        work: Planned arithmetic in MACs, for the remaining time. Forward = 1, backward = 2 times a network's MACs.
    """

    name: str
    run: Callable[[Context], None]
    reads: dict
    files: dict[str, str]
    work: float


def make_plan(context: Context) -> list[Stage]:
    """All stages of a run, in order."""
    plan = [] if context.cfg.model.get('teacher') else [_teacher(context)]
    plan += [_score(context), _nest(context)]
    for number in range(1, context.facts.compression.num_assistants + 1):
        plan += [_joint(context, number), _select(context, number)]
    return [*plan, _student(context), _export(context)]


def expected_scale_sum(scales: list[float], sandwich_hooks: list[dict]) -> float:
    """Mean over steps of the summed scales that a joint step trains; the step's cost beside the teacher's.

    Of the whole pool: a halving makes a stage cheaper than that.
    """
    if not sandwich_hooks:
        return sum(scales)
    settings = {key: value for key, value in sandwich_hooks[0].items() if key in ('sampler', 'num_random')}
    hook = SandwichSparsityHook(**settings)
    draws = [sum(sample_candidates(scales, hook.sampler, hook.num_random, 0, i)) for i in range(100)]
    return sum(draws) / len(draws)


def _teacher(context: Context) -> Stage:
    teacher = teacher_settings(context.cfg)
    _forget_places(teacher.train_dataloader)
    reads = {key: teacher.get(key) for key in (
        'model', 'load_from', 'data_preprocessor', 'custom_hooks', *_SCHEDULE_KEYS)}
    reads |= {'train_data': context.facts.datasets['train'], 'processes': get_world_size()}
    work = 3 * _macs(context) * _images(context, 'train') * teacher.train_cfg.max_epochs
    files = {f'pretrained {source}': source for source in pretrained_sources(teacher) if local_file(source)}
    return Stage('teacher', stages.train_teacher, {**reads, 'seed': context.seed}, files, work)


def _score(context: Context) -> Stage:
    settings = context.facts.compression.importance
    files = _files(teacher=_teacher_file(context))
    if settings.method != 'taylor':
        reads = {**_network(context), 'importance': settings.method}
        if settings.method == 'l1_greedy':
            reads['kept by the student'] = context.facts.flat_family.student.kept
        return Stage('score', stages.score_units, reads, files, 0.)
    images = {key: getattr(settings, key) for key in ('num_images', 'level', 'batch_size')}
    reads = {**_network(context), 'importance': images, **_drawn_images(context)}
    return Stage('score', stages.score_units, reads, files, 3 * _macs(context) * settings.num_images)


def _nest(context: Context) -> Stage:
    compression = context.facts.compression
    reads = {**_network(context), 'scales': context.facts.scales,
             **{key: getattr(compression, key) for key in ('student', 'scale_by', 'prune', 'round_to')}}
    return Stage('nest', stages.nest_candidates, reads,
                 _files('score/importance.json', teacher=_teacher_file(context)), 0.)


def _joint(context: Context, number: int) -> Stage:
    schedule, sampler = _schedule(context, 'joint'), _hooks(context, 'SandwichSparsityHook')
    files = _files('nest/family.json', *_assistant(context, number - 1))
    step = 1 + 3 * expected_scale_sum(context.facts.scales, sampler)
    return Stage(numbered('joint', number), functools.partial(stages.train_jointly, number=number),
                 {**_network(context), **_training(context), **schedule, 'sampler': sampler}, files,
                 step * _macs(context) * _images(context, 'train') * schedule['train_cfg']['max_epochs'])


def _select(context: Context, number: int) -> Stage:
    datasets, splits = context.facts.datasets, stages.evaluated_splits(context.cfg)
    reads = {**_network(context), 'rule': _hooks(context, 'NPSDSelectionHook'), 'held_out': datasets['val'],
             'pipelines': [_pipeline(context.cfg[f'{split}_dataloader']) for split in splits],
             'evaluator': context.cfg.val_evaluator, 'rounds_left': context.facts.compression.num_assistants - number,
             **_recalibration(context)}
    if 'test' in splits:
        reads |= {'test_data': datasets['test'], 'test_evaluator': context.cfg.test_evaluator}
    images = sum(_images(context, split) for split in splits)
    images += context.facts.recalibration
    work = (2 + sum(context.facts.scales)) * _macs(context) * images
    return Stage(numbered('select', number), functools.partial(stages.select_assistant, number=number), reads,
                 _files('nest/family.json', _shared(number)), work)


def _student(context: Context) -> Stage:
    compression, schedule = context.facts.compression, _schedule(context, 'student')
    last = compression.num_assistants
    # The assistant is not known yet; half the teacher is the middle of what it can be.
    step = (0.5 if last else 1.) + 3 * compression.student
    external = {key: context.cfg.model[key] for key in stages.EXTERNAL if context.cfg.model.get(key) is not None}
    return Stage('student', stages.train_student,
                 {**_network(context), **_training(context), **schedule, **external, **_recalibration(context)},
                 _files('nest/family.json', *_assistant(context, last)),
                 step * _macs(context) * _images(context, 'train') * schedule['train_cfg']['max_epochs'])


def _export(context: Context) -> Stage:
    reads = {'test_data': context.facts.datasets['test'], 'pipeline': _pipeline(context.cfg.test_dataloader),
             'evaluator': context.cfg.test_evaluator}
    return Stage('export', stages.export_student, reads,
                 _files('nest/family.json', 'student/trained.pth', teacher=_teacher_file(context)),
                 (1 + context.facts.compression.student) * _macs(context) * _images(context, 'test'))


# --- what the stages' fingerprints are made of ---

def _files(*produced: str, **given: str) -> dict[str, str]:
    """Files of the work_dir by their path in it, and the user's files by what they are: those may be moved."""
    return {**{path: path for path in produced}, **given}


def _network(context: Context) -> dict:
    return dict(architecture=context.cfg.model.architecture, data_preprocessor=context.cfg.get('data_preprocessor'),
                seed=context.seed)


def _drawn_images(context: Context) -> dict:
    return dict(train_data=context.facts.datasets['train'], test_pipeline=_pipeline(context.cfg.test_dataloader))


def _recalibration(context: Context) -> dict:
    """What the batch norm statistics of candidates are found with; nothing for a network without batch norm."""
    if not context.facts.recalibration:
        return {}
    loader = context.cfg.train_dataloader
    return {'recalibration': context.facts.compression.recalibration.__dict__,
            'train_data': context.facts.datasets['train'], 'train_pipeline': _pipeline(loader),
            'num_workers': loader.get('num_workers', 0)}


def _training(context: Context) -> dict:
    return dict(losses=context.cfg.model.get('losses'), logits_from=context.cfg.model.get('logits_from'),
                train_data=context.facts.datasets['train'],
                processes=get_world_size(), custom_hooks=[
                    hook for hook in context.cfg.get('custom_hooks', [])
                    if not is_hook(hook, 'SandwichSparsityHook', 'NPSDSelectionHook')])


def _schedule(context: Context, section: str) -> dict:
    settings = stage_settings(context.cfg, section)
    _forget_places(settings.train_dataloader)
    return {key: settings.get(key) for key in _SCHEDULE_KEYS}


def _forget_places(loader: dict) -> None:
    """Drop what a loader's batches do not depend on: images are known by names and labels, so they may move."""
    for key in ('pin_memory', 'persistent_workers', 'prefetch_factor'):
        loader.pop(key, None)
    for leaf in leaf_datasets(loader.dataset):
        leaf.pop('data_root', None)


def _pipeline(loader: dict) -> list[dict]:
    return next(leaf_datasets(loader.dataset)).get('pipeline')


def _hooks(context: Context, name: str) -> list[dict]:
    return [hook for hook in context.cfg.get('custom_hooks', []) if is_hook(hook, name)]


def _macs(context: Context) -> int:
    return context.facts.teacher_cost.macs


def _images(context: Context, split: str) -> int:
    return context.facts.datasets[split]['images']


def _teacher_file(context: Context) -> str:
    return context.cfg.model.get('teacher') or 'teacher/teacher.pth'


def _shared(number: int) -> str:
    return f'{numbered("joint", number)}/shared.pth' if number else 'nest/reordered.pth'


def _assistant(context: Context, number: int) -> list[str]:
    """Files that the n-th assistant is made of; the 0th is the teacher."""
    select = numbered('select', number)
    return [_shared(number), *[f'{select}/selection.json'] * (number > 0),
            *[f'{select}/statistics.pth'] * (number > 0 and context.facts.recalibration > 0)]
