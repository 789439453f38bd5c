"""Hook that decides which candidates the next joint step trains."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine import dist
from mmengine.runner import Runner

from mmamd.configured_hook import ConfiguredHook
from mmamd.distillation.distiller import distiller_of
from mmamd.distillation.losses.logit import LogitLoss
from mmamd.distillation.samplers import check_below, check_halvings, check_sampler, drawable, halve, sample_candidates
from mmamd.registry import HOOKS

POOLS = 'candidate_pools'  # where the message hub, and so every checkpoint, keeps the pool of each halving


@HOOKS.register_module()
class SandwichSparsityHook(ConfiguredHook):
    """Sample the candidates (sparsities) of every joint step, from a pool that may be halved as training goes on.

    Without this hook in a config, every step trains all candidates.

    Args:
        sampler: ``'all'``, ``'sandwich'``, ``'smallest_random'``, ``'random'``, ``'falling'`` or ``'progressive'``;
            see :func:`sample_candidates`.
        num_random: Number of candidates drawn, beside those that every step trains; ``'all'`` draws none.
        halve_after: Epochs, counted from 1, after which the pool loses its worse half; see :func:`halve`. What the
            candidates are judged by is their logit loss over the epoch's own steps, so that halving costs nothing.
        below: Train candidates of smaller scales alone, and the student; None trains all. The others are evaluated and
            may be chosen all the same: they run on what was trained for smaller ones, and on weights of their own to
            which nothing but weight decay has happened.
    """

    def __init__(self, *, sampler: str = 'smallest_random', num_random: int = 1,
                 halve_after: Sequence[int] = (), below: float | None = None) -> None:
        check_sampler(sampler, num_random)
        check_halvings(halve_after)
        check_below(below)
        if sampler == 'progressive' and halve_after:
            raise ValueError(f"halve_after={list(halve_after)} would drop the small candidates, which "
                             "sampler='progressive' has not trained yet; leave halve_after out, or take another "
                             'sampler')
        self.sampler = sampler
        self.num_random = num_random
        self.halve_after = list(halve_after)
        self.below = below
        self._losses: dict[str, torch.Tensor] = {}  # candidate -> (sum, number) of its losses in this epoch

    def identity(self) -> dict[str, Any]:
        """As that of every such hook, without a bound where there is none: runs from before there was one go on."""
        return {name: value for name, value in super().identity().items() if (name, value) != ('below', None)}

    def check(self, distiller, max_epochs: int) -> None:
        """Raise ValueError if nothing but the student is trained, if candidates are to be judged by a loss that is not
        computed, or when nothing follows.
        """
        if self.below is not None and len(distiller.candidates) > len(drawable(distiller.candidates, self.below)) == 1:
            raise ValueError(f'below={self.below} leaves nothing to train beside the student, of the scales '
                             f'{[candidate.scale for candidate in distiller.candidates]}; raise it, or leave it out')
        if self.halve_after and self.halve_after[-1] >= max_epochs:
            raise ValueError(f'halve_after={self.halve_after} leaves no epoch of {max_epochs} after the last halving; '
                             'name epochs before the last, or train for more; compression.budget may have shortened it')
        if not self.halve_after:
            return
        self._judge = next((name for name, term in distiller.terms.items() if isinstance(term, LogitLoss)), None)
        if self._judge is None:
            raise ValueError(f'halve_after={self.halve_after} judges candidates by their logit loss, which is not '
                             'computed; set losses.logit.weight, or leave halve_after out')

    def before_train(self, runner: Runner) -> None:
        distiller = distiller_of(runner.model)
        self.check(distiller, runner.max_epochs)
        pools = runner.message_hub.runtime_info.get(POOLS, {})  # of an interrupted run
        self._pool = [candidate for candidate in drawable(distiller.candidates, self.below)
                      if not pools or candidate.key in pools[max(pools)]]

    def before_train_epoch(self, runner: Runner) -> None:
        self._losses = {}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        runner.train_loop.step_candidates = sample_candidates(
            self._pool, self.sampler, self.num_random, runner.seed, runner.iter, runner.iter / runner.max_iters)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        if not self.halve_after:
            return
        for candidate in runner.train_loop.step_candidates:
            loss = outputs[f'{candidate.key}.loss_{self._judge}'].detach()
            found = torch.stack([loss, torch.ones_like(loss)])
            # In float16 a step may overflow; the scaler leaves it out, and so does the judgement.
            found = torch.where(torch.isfinite(loss), found, torch.zeros_like(found))
            self._losses[candidate.key] = self._losses.get(candidate.key, 0.) + found

    def after_train_epoch(self, runner: Runner) -> None:
        epoch = runner.epoch + 1
        if epoch not in self.halve_after:
            return
        self._pool = halve(self._pool, self._mean_losses(runner), distiller_of(runner.model).teacher_networks[0].scale)
        keys = [candidate.key for candidate in self._pool]
        pools = runner.message_hub.runtime_info.get(POOLS, {})
        runner.message_hub.update_info(POOLS, {**pools, epoch: keys})
        runner.logger.info(f'candidates that are trained from here on: {", ".join(keys)}')

    def _mean_losses(self, runner: Runner) -> list[float | None]:
        """Mean logit loss of each candidate of the pool over the epoch and all ranks; None if it was never drawn."""
        nothing = torch.zeros(2, device=next(runner.model.parameters()).device)
        sums = torch.stack([self._losses.get(candidate.key, nothing) for candidate in self._pool])
        dist.all_reduce(sums, op='sum')
        return [loss / number if number else None for loss, number in sums.tolist()]
