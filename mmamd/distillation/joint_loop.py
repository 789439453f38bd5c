"""Joint optimisation: one optimizer step on the mean gradient of several candidates of one shared network."""

from contextlib import nullcontext

import torch
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmamd.distillation import mixed_precision
from mmamd.distillation.distiller import distiller_of
from mmamd.registry import LOOPS
from mmamd.structures import Candidate


@LOOPS.register_module()
class JointTrainLoop(EpochBasedTrainLoop):
    """Epochs of joint steps (AMD, supplement Algorithm 1).

    The step is written here and not in ``train_step``, because MMDistributedDataParallel never calls the module's
    ``train_step`` and preprocesses (and so mixes up) the batch on every call. Training a single student is the same
    step with one candidate.

    Attributes:
        step_candidates: Candidates that the next step trains; set by :class:`SandwichSparsityHook`; all where a
            config has no such hook.
        num_skipped: Steps of this process that a loss scaler left out; logged as ``skipped_steps`` where there is one.
    """

    step_candidates: list[Candidate] | None = None
    num_skipped = 0

    def run_iter(self, idx: int, data_batch: dict) -> None:
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        outputs = self.step(data_batch)
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def prepare(self, data_batch: dict) -> dict:
        """The preprocessed batch with the teachers' ``targets``."""
        distiller = distiller_of(self.runner.model)
        distiller.progress = self.iter / self.max_iters
        data = distiller.data_preprocessor(data_batch, training=True)
        with torch.no_grad(), self.runner.optim_wrapper.optim_context(self.runner.model):
            data['targets'] = distiller.teach(data['inputs'], data['data_samples'])
        return data

    def step(self, data_batch: dict) -> dict[str, torch.Tensor]:
        """One optimizer step; returns the values to log, the mean loss over the candidates as ``'loss'``.

        The batch is preprocessed once, so all candidates and the teacher see the same mixed-up images; the teacher
        runs once; gradients accumulate one candidate after the other, so one graph is in memory at a time; ranks
        exchange gradients once, in the backward pass of the last candidate. The largest candidate goes first, while no
        gradients are held beside its activations.
        """
        model, optim_wrapper = self.runner.model, self.runner.optim_wrapper
        distiller = distiller_of(model)
        candidates = distiller.candidates if self.step_candidates is None else self.step_candidates
        data = self.prepare(data_batch)
        log_vars: dict[str, torch.Tensor] = {}
        total = 0.
        for i, candidate in enumerate(reversed(candidates)):
            distiller.activate(candidate)
            is_last = i == len(candidates) - 1
            no_sync = nullcontext() if is_last or model is distiller else model.no_sync()
            with no_sync:  # covers the backward pass too
                with optim_wrapper.optim_context(model):
                    losses = model(**data, mode='loss')
                loss, values = distiller.parse_losses(losses)
                optim_wrapper.backward(loss / len(candidates))
            values.pop('loss')
            log_vars.update(values)
            total = total + loss.detach() / len(candidates)
        distiller.after_step()
        if not mixed_precision.step(optim_wrapper):
            self.num_skipped += 1
        optim_wrapper.zero_grad()
        if hasattr(optim_wrapper, 'loss_scaler'):
            log_vars['skipped_steps'] = torch.tensor(float(self.num_skipped))
        return {**log_vars, 'loss': total}


def macs_of_step(runner: Runner) -> int:
    """MACs that an image of the latest step took."""
    distiller = distiller_of(runner.model)
    return distiller.macs(runner.train_loop.step_candidates or distiller.candidates)
