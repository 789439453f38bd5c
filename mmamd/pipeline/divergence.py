"""Training that diverges is stopped at the step that shows it, and none of it is kept."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmamd.pipeline.config.keys import check_options
from mmamd.registry import HOOKS

EXIT_CODE = 3  # of tools/train.py; 1 is any other error, 2 a wrong command line


class TrainingDiverged(RuntimeError):
    """A loss, a gradient or a weight is not finite, or a loss scaler leaves out step after step."""

    exit_code = EXIT_CODE


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stop a stage whose losses, gradients or weights are not finite, before a checkpoint holds any of it.

    Every training stage has one, under ``default_hooks.divergence``. After each step the losses and the norm of the
    gradients are read, in one transfer; the host has read each loss by then, so a GPU waits no more than without it.
    Before an epoch's checkpoint the weights are read. Several processes stop at the same step: gradients are reduced
    over them, so what is not finite in the loss of one of them is not finite in the gradients of all.

    Where a loss scaler looks for the largest scale that float16 bears, steps that it leaves out are no divergence,
    but many in a row are.

    Args:
        max_skipped_steps: Steps in a row that a loss scaler may leave out. From its first scale of 2^16 it takes 16 of
            them to a scale of 1, below which float16 has nothing to gain.

    Raises:
        ValueError: If ``max_skipped_steps`` is no positive integer.
        TrainingDiverged: While a stage trains; it names stage, candidate, term, epoch, iteration and value.
    """

    priority = 'VERY_HIGH'  # nothing is logged, averaged or saved of a step that diverged

    def __init__(self, *, max_skipped_steps: int = 50) -> None:
        if isinstance(max_skipped_steps, bool) or not isinstance(max_skipped_steps, int) or max_skipped_steps < 1:
            raise ValueError('default_hooks.divergence.max_skipped_steps must be a positive integer, got '
                             f'{max_skipped_steps!r}; 50 is usual')
        self.max_skipped_steps = max_skipped_steps
        self._skipped = 0  # in a row
        self._norm: Tensor | None = None  # of the latest step's gradients; None where the optimizer was not called

    def before_train(self, runner: Runner) -> None:
        self._scale = _scale_of(runner.optim_wrapper)
        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda optimizer, *_: setattr(self, '_norm', gradient_norm(optimizer)))

    def after_train(self, runner: Runner) -> None:
        self._handle.remove()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        norm, self._norm = self._norm, None
        if self._scale is not None:
            if not runner.optim_wrapper.should_update():
                return  # gradients are being added up; the scaler judges their sum
            if self._was_left_out(runner.optim_wrapper, norm):
                self._skipped += 1
                if self._skipped >= self.max_skipped_steps:
                    raise self._diverged(runner, f'the loss scaler has left out {self._skipped} steps in a row '
                                                 '(default_hooks.divergence.max_skipped_steps)')
                return
            self._skipped = 0
        found = {name: value.detach() for name, value in (outputs or {}).items()
                 if isinstance(value, Tensor) and 'loss' in name}
        found |= {} if norm is None else {'gradient norm': norm}
        for name, value in _read(found).items():
            if not abs(value) < float('inf'):
                raise self._diverged(runner, f'{_named(name)} is {value}')
        clipped_from = runner.message_hub.log_scalars.get('train/grad_norm')
        if clipped_from is not None and not abs(clipped_from.current()) < float('inf'):
            raise self._diverged(runner, f'the gradient norm is {clipped_from.current()} before clipping')

    def after_train_epoch(self, runner: Runner) -> None:
        name = first_not_finite(runner.model)
        if name is not None:
            raise self._diverged(runner, f'the weight {name} is not finite after the epoch')

    def _was_left_out(self, optim_wrapper: OptimWrapper, norm: Tensor | None) -> bool:
        """Whether a loss scaler left the latest step out; a fused optimizer is called even so, and the scale tells."""
        before, self._scale = self._scale, _scale_of(optim_wrapper)
        return self._scale < before if _is_fused(optim_wrapper) else norm is None

    def _diverged(self, runner: Runner, what: str) -> TrainingDiverged:
        stage = Path(runner.work_dir).name
        kept = 'the checkpoints of earlier epochs are kept' if runner.epoch else 'no epoch was whole before it'
        return TrainingDiverged(
            f"stage '{stage}' diverged: {what}, in epoch {runner.epoch + 1}, iteration {runner.iter + 1}; {kept}. The "
            'same command comes to the same end: lower the learning rate (optim_wrapper.optimizer.lr), warm it up, '
            'clip the gradients (optim_wrapper.clip_grad=dict(max_norm=1.0)), or look for broken images and labels. '
            'A schedule is a part of what a stage is known by, so the stage is redone from its beginning, with '
            f'--start-from {stage}')


def divergence_settings(default_hooks: dict | None) -> dict:
    """Settings of the hook that every training stage has.

    Raises:
        ValueError: If ``default_hooks.divergence`` would be another hook or none, or has an unknown option.
    """
    given = (default_hooks or {}).get('divergence', {})
    settings = {'type': 'mmamd.DivergenceHook', **(given if isinstance(given, dict) else {})}
    if not isinstance(given, dict) or settings['type'] != 'mmamd.DivergenceHook':
        raise ValueError(f'default_hooks.divergence={given!r}: a stage that diverges is always stopped; expected '
                         'dict(max_skipped_steps=...), or leave it out')
    check_options('default_hooks.divergence', DivergenceHook, given)
    HOOKS.build(dict(settings))
    return settings


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """Norm of all gradients that an optimizer is about to apply; None if there are none."""
    gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients) if gradients else None


@torch.no_grad()
def first_not_finite(network: nn.Module) -> str | None:
    """Name of the first parameter or buffer of a network that holds a number that is not finite; None if all are."""
    names, values = [], []
    for name, tensor in _tensors(network):
        names.append(name)
        values.append(torch.isfinite(tensor).all())
    finite = torch.stack(values).tolist() if values else []  # one transfer
    return next((name for name, is_finite in zip(names, finite, strict=True) if not is_finite), None)


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.is_floating_point() and tensor.numel():
            yield name, tensor


def _read(values: dict[str, Tensor]) -> dict[str, float]:
    """The values as numbers, in one transfer."""
    if not values:
        return {}
    numbers = torch.stack([value.float().mean() for value in values.values()]).tolist()
    return dict(zip(values, numbers, strict=True))


def _named(name: str) -> str:
    """'0.30.loss_ce' -> 'the term ce of candidate 0.30'."""
    candidate, is_term, term = name.partition('.loss_')
    return f'the term {term} of candidate {candidate}' if is_term else f'the {name}'


def _scale_of(optim_wrapper: OptimWrapper) -> float | None:
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    return None if scaler is None else scaler.get_scale()


def _is_fused(optim_wrapper: OptimWrapper) -> bool:
    return getattr(optim_wrapper.optimizer, '_step_supports_amp_scaling', False)
