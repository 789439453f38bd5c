"""Hook that decides which candidates the next joint step trains."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmamd.distillation.samplers import check_sampler, sample_candidates
from mmamd.registry import HOOKS


@HOOKS.register_module()
class SandwichSparsityHook(Hook):
    """Sample the candidates (sparsities) of every joint step.

    Args:
        sampler: ``'all'``, ``'sandwich'`` or ``'random'``; see :func:`sample_candidates`.
        num_random: Number of candidates drawn by the last two.
    """

    def __init__(self, *, sampler: str = 'all', num_random: int = 1) -> None:
        check_sampler(sampler, num_random)
        self.sampler = sampler
        self.num_random = num_random

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        distiller = runner.model.module if is_model_wrapper(runner.model) else runner.model
        runner.train_loop.step_candidates = sample_candidates(
            distiller.candidates, self.sampler, self.num_random, runner.seed, runner.iter)
