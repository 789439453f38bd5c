"""What the stages that train have in common: one Runner, one schedule, one way to continue."""

import copy
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.files.checkpoint import is_whole, write_checkpoint
from mmamd.notices import notice
from mmamd.pipeline.context import Context
from mmamd.pipeline.divergence import divergence_settings
from mmamd.pipeline.images.splits import check_batch_size
from mmamd.pipeline.inputs import Images, Loader
from mmamd.pipeline.log_history import LogHistoryHook
from mmamd.pipeline.progress_hooks import TrainingProgressHook
from mmamd.pipeline.seeding import EpochSeedHook
from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pipeline.stages.checkpoint_settings import check_checkpoints
from mmamd.pipeline.stages.stage import Stage
from mmamd.pipeline.stages.term_files import TERMS
from mmamd.seeds import derive_seed
from mmamd.weights.checkpoint import read_weights
from mmamd.weights.sources import fetch

SCHEDULE = ('optim_wrapper', 'param_scheduler', 'auto_scale_lr')


@dataclass(frozen=True, kw_only=True)
class TrainingStage(Stage, is_kind=False):
    """What every stage that trains is known by.

    Attributes:
        schedule: ``train_cfg``, ``optim_wrapper``, ``param_scheduler``, ``auto_scale_lr``.
        loader, hooks: Of the training.
        images: The training images.
        processes: Number of processes.
        seed: The run's.
    """

    schedule: dict
    loader: Loader
    hooks: list
    images: Images
    processes: int
    seed: int

    @property
    def images_seen(self) -> int:
        """Images that all processes together see in all epochs."""
        images_of_an_epoch = self.images.num
        if self.loader.is_stream:
            images_of_an_epoch = self.loader.settings['sampler']['num_samples'] * self.processes
        return images_of_an_epoch * self.schedule['train_cfg']['max_epochs']

    def trainings(self, work_dir: Path) -> int:
        return 1


def training_fields(settings: dict, stage: str) -> dict:
    """Fields of a training stage that its settings say: schedule, loader, hooks, processes.

    Raises:
        ValueError: If the schedule cannot be kept.
    """
    check_batch_size(settings['train_dataloader'], f"stage '{stage}': train_dataloader")
    train_cfg, loader = in_epochs(stage, settings['train_cfg'], settings['train_dataloader'])
    return dict(schedule={'train_cfg': train_cfg, **{key: settings.get(key) for key in SCHEDULE}},
                loader=Loader(loader), hooks=list(settings.get('custom_hooks') or []), processes=get_world_size())


def in_epochs(stage: str, train_cfg: dict, loader: dict) -> tuple[dict, dict]:
    """A schedule and its loader in epochs, at whose ends a run is resumed.

    ``max_iters`` with ``epoch_iters`` becomes max_iters / epoch_iters epochs of that many steps, of images that a
    :class:`mmamd.datasets.StreamSampler` deals out.

    Raises:
        ValueError: If the schedule counts neither, or its length is no whole number of epochs.
    """
    train_cfg, loader = copy.deepcopy(dict(train_cfg)), copy.deepcopy(dict(loader))
    for key in ('type', 'by_epoch', 'val_interval', 'val_begin'):
        train_cfg.pop(key, None)
    if 'max_iters' not in train_cfg:
        if set(train_cfg) != {'max_epochs'}:
            raise ValueError(f"stage '{stage}' must be scheduled in epochs (train_cfg=dict(max_epochs=...)), or in "
                             'steps with epochs of so many (train_cfg=dict(max_iters=40000, epoch_iters=1000)), '
                             f'because a run is resumed at epoch boundaries; got {train_cfg}')
        return train_cfg, loader
    steps, epoch = train_cfg['max_iters'], train_cfg.get('epoch_iters')
    if set(train_cfg) != {'max_iters', 'epoch_iters'} or not epoch or steps % epoch:
        raise ValueError(f"stage '{stage}' counts steps, so it needs epoch_iters that divide them, at whose ends the "
                         f'run can be resumed: train_cfg=dict(max_iters=40000, epoch_iters=1000); got {train_cfg}')
    sampler = loader.get('sampler') or {}
    notice(f"{stage}: the sampler {sampler.get('type')} is replaced by mmamd.StreamSampler, which deals out epochs "
           f'of {epoch} steps and can be resumed')
    loader.pop('batch_sampler', None)
    loader['sampler'] = dict(type='mmamd.StreamSampler', num_samples=epoch * loader['batch_size'],
                             shuffle=sampler.get('shuffle', True))
    return dict(max_epochs=steps // epoch), loader


def check_schedule(stage: TrainingStage, runtime: dict) -> None:
    """Refuse an optimizer wrapper that this machine cannot have, checkpoints that a run cannot use, no batch."""
    on_this_machine(stage.schedule['optim_wrapper'])
    check_checkpoints(stage, checkpoints_by_epoch(runtime.get('default_hooks'), stage))
    divergence_settings(runtime.get('default_hooks'))
    check_batches(stage)


def check_batches(stage: TrainingStage) -> None:
    """Raise ValueError where an epoch has no batch, or ranks would have different numbers of them and wait forever."""
    loader = stage.loader.settings
    sampler = loader.get('sampler') or {}
    size = loader.get('batch_size')
    if size is None or str(sampler.get('type')).rpartition('.')[2] != 'DefaultSampler':
        return  # a batch sampler deals out what it likes, and a stream never ends
    num, processes, drop_last = stage.images.num, stage.processes, loader.get('drop_last', False)
    if drop_last and -(-num // processes) < size:
        share = f' on each of {processes} processes' if processes > 1 else ''
        raise ValueError(f"stage '{stage.name}': train_dataloader.batch_size={size}{share} is more than the images "
                         f'there are for it, {-(-num // processes)}, and drop_last=True leaves nothing to train on; '
                         'make batch_size smaller, or set drop_last=False')
    shares = {(num - rank + processes - 1) // processes for rank in range(processes)}
    batches = {share // size if drop_last else -(-share // size) for share in shares}
    if not sampler.get('round_up', True) and len(batches) > 1:
        raise ValueError(f"stage '{stage.name}': with round_up=False some of {processes} processes have "
                         f'{min(batches)} batches of the {num} images and others {max(batches)}, and would wait for '
                         'each other forever; leave train_dataloader.sampler.round_up out')


def loader_settings(loader: Loader) -> dict:
    """Settings of a loader by which a run that is resumed sees what it would have seen."""
    return {**copy.deepcopy(dict(loader.settings)), 'persistent_workers': False,
            'worker_init_fn': dict(type='mmamd.seed_worker')}


def build_trainer(stage: TrainingStage, folder: Path, model: dict, runtime: dict, hooks: Sequence[Hook] = (),
                  loop: dict | None = None, load_from: str | None = None) -> Runner:
    """The ordinary Runner by which a stage trains, seeded by the stage.

    Args:
        stage: The stage: its name, schedule, loader, hooks and seed.
        folder: What it writes into.
        model: Config of the model.
        runtime: Settings that the outcome does not depend on: logging, checkpoints, environment.
        hooks: Hooks beside the configured ones.
        loop: Type of the training loop and its options; the host's by default.
        load_from: Weights of the whole model to start from.
    """
    seed = derive_seed(stage.seed, stage.name)
    torch.manual_seed(seed)  # a network that is built before the Runner seeds must not depend on what ran before
    train_cfg = {**stage.schedule['train_cfg'], **(loop or {'by_epoch': True})}
    default_hooks = checkpoints_by_epoch(runtime.get('default_hooks'), stage)
    runtime = {**runtime, 'default_hooks': {**(default_hooks or {}), 'divergence': divergence_settings(default_hooks)}}
    runner = build_stage_runner(
        runtime, stage.name, folder, model=model, custom_hooks=copy.deepcopy(stage.hooks),
        train_dataloader=loader_settings(stage.loader), train_cfg=train_cfg,
        optim_wrapper=on_this_machine(stage.schedule['optim_wrapper']),
        param_scheduler=stage.schedule['param_scheduler'], auto_scale_lr=stage.schedule['auto_scale_lr'],
        load_from=load_from,
        # One seed on all ranks, or they would draw different candidates; EpochSeedHook tells their images apart.
        randomness={**(runtime.get('randomness') or {}), 'seed': seed, 'diff_rank_seed': False})
    for hook in (*hooks, EpochSeedHook(stage.name)):
        runner.register_hook(hook)
    return runner


def train(context: Context, stage: TrainingStage, model: dict, runtime: dict, macs_of_step: Callable[[Runner], int],
          hooks: Sequence[Hook] = (), loop: dict | None = None, load_from: str | None = None) -> Runner:
    """Train in the stage's folder, continuing from its last whole epoch if there is one.

    Args:
        context: The run.
        macs_of_step: From the runner, after a step, to the MACs that an image of it took.
        stage, model, runtime, hooks, loop, load_from: As :func:`build_trainer` takes them.
    """
    folder = context.work_dir / stage.name
    runner = build_trainer(stage, folder, model, runtime, hooks, loop, load_from)
    progress = TrainingProgressHook(stage.name, context.progress, partial(context.spend, stage.name), macs_of_step)
    for hook in (LogHistoryHook(), progress):
        runner.register_hook(hook)
    checkpoint = context.resume_from or last_checkpoint(folder)
    if checkpoint is not None:
        runner._load_from, runner._resume = str(checkpoint), True
    runner.train()
    return runner


def checkpoints_by_epoch(default_hooks: dict | None, stage: TrainingStage) -> dict | None:
    """Checkpoints that a config wants every so many steps, at the ends of epochs of so many steps.

    Raises:
        ValueError: If there are no such epochs, or interval or beginning is no multiple of them.
    """
    hook = (default_hooks or {}).get('checkpoint')
    if not hook or hook.get('by_epoch', True):
        return default_hooks
    sampler = stage.loader.settings.get('sampler') or {}
    # Without num_samples epochs are not counted in steps, and a loader of a batch sampler has no batch_size.
    steps = sampler['num_samples'] // stage.loader.settings['batch_size'] if 'num_samples' in sampler else 0
    counted = {'save_begin': 0, 'interval': -1, **hook}
    for key in ('interval', 'save_begin'):
        if not steps or counted[key] % steps:
            raise ValueError(f"default_hooks.checkpoint.{key}={counted[key]} steps is no multiple of an epoch of "
                             f"'{stage.name}' ({steps or 'not counted in'} steps), at whose end alone a run can be "
                             'resumed')
        counted[key] //= steps
    return {**default_hooks, 'checkpoint': {**counted, 'by_epoch': True}}


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a stage; None where there is none. What is damaged is logged with what is taken.

    The host notes the last one by an absolute path; only its name is read, so that a moved work_dir can be continued.
    """
    epochs = {path: int(found[1]) for path in folder.glob('epoch_*.pth')
              if (found := re.fullmatch(r'epoch_(\d+)\.pth', path.name))}
    checkpoints = sorted(epochs, key=epochs.get, reverse=True)
    note = folder / 'last_checkpoint'
    noted = folder / Path(note.read_text(errors='replace').strip()).name if note.is_file() else folder
    if noted.is_file() and noted not in epochs:  # of a name that the config has chosen
        checkpoints.insert(0, noted)
    whole = next(filter(is_whole, checkpoints), None)
    damaged = checkpoints[:checkpoints.index(whole)] if whole else checkpoints
    if damaged:
        notice(f"{', '.join(map(str, damaged))} cannot be read to the end and is left out; the stage continues from "
               f'{whole.name if whole else "its beginning"}', logging.WARNING)
    return whole


def keep_last_weights(folder: Path, name: str, finish: Callable[[dict], dict] = lambda state: state) -> str:
    """Save the network of a stage's last checkpoint as plain tensors, finished by a function; returns the file."""
    if is_main_process():
        state = finish(read_weights(str(last_checkpoint(folder))))
        write_checkpoint({'state_dict': state, 'meta': {}}, folder / name)
    barrier()
    return str(folder / name)


def keep_last_terms(folder: Path) -> None:
    """Save what the terms of a stage's last checkpoint have learnt and remembered, by their names, as plain tensors."""
    if is_main_process():
        found: dict[str, dict] = {}
        for key, value in fetch(str(last_checkpoint(folder)))['state_dict'].items():
            prefix, _, rest = key.partition('.')
            if prefix == 'terms':
                name, _, rest = rest.partition('.')
                found.setdefault(name, {})[rest] = value
        write_checkpoint(found, folder / TERMS)
    barrier()
