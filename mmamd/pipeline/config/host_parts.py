"""Parts of the host that a config names: looked up, asked for their options, and built, before anything runs."""

import copy
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch.nn as nn
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
    DefaultScope,
    Registry,
)
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from mmamd.checks import check_arguments
from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.nearest import did_you_mean
from mmamd.pipeline.inputs import leaf_datasets
from mmamd.pipeline.plain import plain
from mmamd.tasks import TASKS

STEPS = 10  # of an epoch, where a schedule is built to see whether it can be
CLIPS = {'norm': clip_grad_norm_, 'value': clip_grad_value_}
OF_THE_HOST = ('type', '_scope_', '_delete_')  # keys of any part that are no options
# Parts that the host has without being told.
DEFAULT_HOOKS = {'runtime_info': 'RuntimeInfoHook', 'timer': 'IterTimerHook', 'sampler_seed': 'DistSamplerSeedHook',
                 'logger': 'LoggerHook', 'param_scheduler': 'ParamSchedulerHook', 'checkpoint': 'CheckpointHook',
                 'divergence': 'mmamd.DivergenceHook'}


def check_part(where: str, registry: Registry, part: Any, beside: Iterable[str] = ()) -> Callable:
    """The type that a section names; raises ValueError unless it is registered and has the options that it gets.

    Args:
        where: Key of the part.
        registry: Where its type is looked up.
        part: The section.
        beside: Keys that the host reads before it builds the part.
    """
    if not isinstance(part, dict):
        raise ValueError(f'{where} must be a section, dict(type=...), got {part!r}; name what is to be built')
    kind = part.get('type')
    if not isinstance(kind, str) and not callable(kind):
        raise ValueError(f'{where}.type must be the name of a {registry.name}, got {kind!r}; e.g. {where}='
                         f"dict(type='{next(iter(_known(registry)), '...')}')")
    found = _registered(registry, kind, part.get('_scope_')) if isinstance(kind, str) else kind
    if found is None:
        raise ValueError(f'{where}.type={kind!r}: there is no such {registry.name}'
                         f'{did_you_mean(kind, _known(registry))} Give the name of a registered one, or import the '
                         'module that registers it by custom_imports')
    known = option_names(found)
    for name in part if known is not None else ():
        if name not in (*known, *OF_THE_HOST, *beside):
            raise ValueError(f'{where}: {kind} has no option {name!r}, got {part[name]!r}'
                             f'{did_you_mean(name, known)} Expected some of {known}')
    return found


def option_names(function: Callable) -> list[str] | None:
    """Names of what a class or function takes; None where it takes any."""
    if not isinstance(function, type):
        parameters = inspect.signature(function).parameters.values()
        return None if any(each.kind is each.VAR_KEYWORD for each in parameters) else [each.name for each in parameters]
    names: list[str] = []
    for cls in function.__mro__:  # a class that takes anything hands it on to the next
        if '__init__' not in vars(cls) or cls is object:
            continue
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        names += [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return names
    return None


def _registered(registry: Registry, name: str, scope: str | None) -> Callable | None:
    """What the host would build of that name, looked up in the scope that the part names, or in the current one."""
    current = DefaultScope.get_current_instance()
    if scope is None and current and current.scope_name not in registry.children:
        return registry.get(name)  # as MMPretrain, which registers no functions: the host would warn of the scope
    with registry.switch_scope_and_registry(scope) as scoped:
        return scoped.get(name)


def _known(registry: Registry) -> list[str]:
    """Names of the current scope, without a prefix, and ours with it."""
    scope = DefaultScope.get_current_instance()
    host = registry.children.get(scope.scope_name if scope else None)
    ours = registry.children.get('mmamd')
    return [*registry.module_dict, *(host.module_dict if host else ()),
            *(f'mmamd.{name}' for name in (ours.module_dict if ours else ()))]


@contextmanager
def building(where: str, part: Any) -> Iterator[None]:
    """Whatever the host's own constructors raise over a part becomes a ValueError that names it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and f'{where}.' in str(error):
            raise  # ours
        raise ValueError(f'{where}={plain(part)!r} cannot be built: {error or type(error).__name__}; correct the '
                         'option that this names, or leave it out') from error


# --- the parts of a config ---

def check_scope(scope: str | None) -> None:
    """Raise ValueError for a ``default_scope`` in which nothing is registered: MMEngine would look everywhere else."""
    if scope is None or scope == MODELS.scope:
        return
    for task in TASKS:
        if task.scope == scope:
            task().check_installed()
    with suppress(ImportError):
        importlib.import_module(f'{scope}.registry')
    if scope not in MODELS.children:
        raise ValueError(f'default_scope={scope!r} is the scope of no package that is installed'
                         f"{did_you_mean(scope, [*MODELS.children])} Expected 'mmpretrain', 'mmseg', or the scope of "
                         'registries that custom_imports brings')


def check_config_parts(cfg: Config) -> None:
    """Raise ValueError for a part of the top level that is not registered or has an option that it lacks."""
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None and split != 'val':  # a method that chooses nothing needs none
            raise ValueError(f'the config has no {split}_dataloader, got None; expected training images (train) and '
                             'test images (test)')
        check_loader(f'{split}_dataloader', loader)
        if loader is not None and split != 'train':
            evaluators = _listed(cfg.get(f'{split}_evaluator'))
            if not evaluators:
                raise ValueError(f'{split}_evaluator must be a section, dict(type=...), or several in a list, got '
                                 f"{cfg.get(f'{split}_evaluator')!r}; e.g. {split}_evaluator=dict(type='Accuracy')")
            for i, metric in enumerate(evaluators):
                check_part(f'{split}_evaluator.{i}', METRICS, metric)
    for name, part in cfg.model.architecture.items():  # backbone, neck and heads, of which there may be several
        if name.endswith(('backbone', 'neck', 'head')) and part is not None:
            for i, each in enumerate(_listed(part)):
                place = f'{name}.{i}' if isinstance(part, (list, tuple)) else name
                check_part(f'model.architecture.{place}', MODELS, each, ['init_cfg'])
    check_part('model.architecture', MODELS, cfg.model.architecture)
    if cfg.get('visualizer') is not None:
        check_part('visualizer', VISUALIZERS, cfg.visualizer, ['name'])


def check_loader(where: str, loader: dict | None) -> None:
    """The same of a data loader: its data sets, their transforms, its sampler."""
    if loader is None:
        return
    for key, registry in (('sampler', DATA_SAMPLERS), ('batch_sampler', DATA_SAMPLERS), ('collate_fn', FUNCTIONS)):
        if isinstance(loader.get(key), dict):
            check_part(f'{where}.{key}', registry, loader[key])
    check_part(f'{where}.dataset', DATASETS, loader.get('dataset'))
    for leaf in leaf_datasets(loader['dataset']):
        check_part(f'{where}.dataset', DATASETS, leaf)
        pipeline = leaf.get('pipeline') or []
        if not isinstance(pipeline, (list, tuple)):
            raise ValueError(f'{where}.dataset.pipeline must be a list of transforms, got {pipeline!r}; e.g. '
                             "[dict(type='PackInputs')]")
        for i, transform in enumerate(pipeline):
            if not callable(transform):
                check_part(f'{where}.dataset.pipeline.{i}', TRANSFORMS, transform)


def check_runtime(section: str, settings: dict) -> None:
    """The same of what a training stage runs with: hooks, loader, optimizer, schedulers."""
    check_loader(f'{section}.train_dataloader', settings.get('train_dataloader'))
    for name, hook in (settings.get('default_hooks') or {}).items():
        if hook is not None:
            _check_hook(f'{section}.default_hooks.{name}', {'type': DEFAULT_HOOKS[name], **hook}
                        if isinstance(hook, dict) and name in DEFAULT_HOOKS else hook)
    for i, hook in enumerate(settings.get('custom_hooks') or []):
        _check_hook(f'{section}.custom_hooks.{i}', hook)
    wrapper = settings['optim_wrapper']
    check_part(f'{section}.optim_wrapper', OPTIM_WRAPPERS, {'type': 'OptimWrapper', **wrapper},
               ['optimizer', 'constructor', 'paramwise_cfg', 'dtype', 'loss_scale', 'use_fsdp'])
    check_part(f'{section}.optim_wrapper.optimizer', OPTIMIZERS, wrapper['optimizer'])
    _check_clip(f'{section}.optim_wrapper.clip_grad', wrapper.get('clip_grad'))
    for i, scheduler in enumerate(_listed(settings.get('param_scheduler'))):
        check_part(f'{section}.param_scheduler.{i}', PARAM_SCHEDULERS, scheduler, ['convert_to_iter_based'])


def _check_hook(where: str, hook: Any) -> None:
    kind = check_part(where, HOOKS, hook, ['priority'])
    check_arguments(where, kind, hook)  # not built: some ask for what only a running Runner has


def _check_clip(where: str, clip: dict | None) -> None:
    if clip is None:
        return
    kind = clip.get('type', 'norm')
    if kind not in CLIPS:
        raise ValueError(f"{where}.type must be 'norm' or 'value', got {kind!r}; leave it out for 'norm'")
    known = [name for name in inspect.signature(CLIPS[kind]).parameters if name != 'parameters']
    for key, value in clip.items():
        if key not in (*known, 'type'):
            raise ValueError(f'{where} has no option {key!r}, got {value!r}{did_you_mean(key, known)} Expected some of '
                             f'{known}')
    needed = {'norm': 'max_norm', 'value': 'clip_value'}[kind]
    value = clip.get(needed)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f'{where}.{needed} must be a number above 0, got {value!r}; e.g. {where}=dict({needed}=1.0), '
                         'or None to clip nothing')


def check_schedule_parts(section: str, schedule: dict) -> None:
    """Build optimizer and schedulers of a stage for a model of one weight; raise ValueError for what they refuse."""
    wrapper = plain(on_this_machine(schedule['optim_wrapper']))
    wrapper.setdefault('type', 'OptimWrapper')
    with building(f'{section}.optim_wrapper', wrapper):
        built = build_optim_wrapper(nn.Linear(1, 1, bias=False), copy.deepcopy(wrapper))
    epochs = (schedule.get('train_cfg') or {}).get('max_epochs', 1)
    for i, scheduler in enumerate(_listed(schedule.get('param_scheduler'))):
        scheduler = plain(scheduler)
        end = epochs if scheduler.get('by_epoch', True) else epochs * STEPS
        with building(f'{section}.param_scheduler.{i}', scheduler):
            one = PARAM_SCHEDULERS.build({'end': end, **scheduler}, default_args=dict(
                optimizer=built, epoch_length=STEPS))
            with warnings.catch_warnings():  # no optimizer has stepped
                warnings.simplefilter('ignore')
                one.step()  # some options are read here


def _listed(found: Any) -> list:
    return list(found) if isinstance(found, (list, tuple)) else [] if found is None else [found]
