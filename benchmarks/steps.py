"""The steps of the method, each ready to be timed on one batch of random images."""

import argparse
import copy
from collections.abc import Sequence

import networks
import torch

from mmamd.pipeline.stages.refit import BATCH, steps_of
from mmamd.pruning.importance import unit_scores
from mmamd.pruning.refit import macs_of_products, refit
from mmamd.structures import Candidate, Cost
from mmamd.tasks import task_of


class Steps:
    """Joint, student and KD steps, the scoring pass and the evaluation of all candidates of one network.

    Args:
        name: Name of the network, or its config.
        scales: Scales of the family, the student's first.
        options: What the benchmark was asked for.
    """

    def __init__(self, name: str | dict, scales: Sequence[float], options: argparse.Namespace) -> None:
        self.distiller = networks.distiller(name, scales, options.device)
        self.network = self.distiller.network
        self.teacher_macs = self.distiller.teacher_networks[0].cost.macs
        self._loop = networks.joint_loop(self.distiller, options)
        self._batch = networks.raw_batch(self.network, options.batch_size, options.device)
        self._inputs = torch.stack(self._batch['inputs'])

    @property
    def candidates(self) -> list[Candidate]:
        return self.distiller.candidates

    @property
    def student(self) -> Candidate:
        return self.candidates[0]

    def joint(self, candidates: Sequence[Candidate]) -> None:
        """A joint step of some candidates."""
        self._loop.step_candidates = list(candidates)
        self._loop.step(self._batch)

    def distil(self, assistant: Candidate | None = None) -> None:
        """A step of the student, taught by an assistant, or by the teacher itself: plain KD."""
        self.distiller.teacher.backbone.activate(None if assistant is None else assistant.kept)
        self.joint([self.student])
        self.distiller.teacher.backbone.activate(None)

    def score(self) -> None:
        """A scoring pass, in float32 as in the pipeline."""
        unit_scores(self.distiller.teacher, self._inputs, self._batch['data_samples'])

    @torch.no_grad()
    def evaluate(self) -> None:
        """Teacher, full network and every candidate in eval mode, as the selection needs them."""
        self.distiller.eval()
        self.distiller.teacher(self._inputs, mode='tensor')
        for candidate in (None, *self.candidates):
            self.distiller.activate(candidate)
            self.network(self._inputs, mode='tensor')
        self.distiller.train()

    def refit_batches(self, num_images: int) -> list[torch.Tensor]:
        """So many images to refit on, as the pipeline has them."""
        return [networks.images(self.distiller.teacher, BATCH, self._inputs.device)
                for _ in range(num_images // BATCH)]

    def refit(self, candidates: Sequence[Candidate], batches: list[torch.Tensor]) -> None:
        """Candidates of their own weights, all refit in one walk, in float32 as in the pipeline."""
        own = {candidate.key: self._of_own_weights(candidate) for candidate in candidates}
        task = task_of(self.distiller.teacher)
        refit(steps_of(self.distiller.teacher, task, True), {
            key: steps_of(network, task, True) for key, network in own.items()}, batches)

    def refit_macs(self, candidates: Sequence[Candidate]) -> float:
        """MACs of that an image."""
        task, image = task_of(self.distiller.teacher), self._inputs[:1].cpu()
        products = [macs_of_products(steps_of(self._of_own_weights(candidate).cpu(), task, True), torch.zeros_like(
            image, dtype=torch.float32)) for candidate in candidates]
        return self.teacher_macs + sum(candidate.cost.macs for candidate in candidates) + sum(products)

    def _of_own_weights(self, candidate: Candidate) -> torch.nn.Module:
        network = copy.deepcopy(self.distiller.teacher)
        network.backbone.activate(candidate.kept)
        return network

    def macs(self, *costs: Cost) -> float:
        """A training step of networks of these costs and one forward pass of the teacher, in MACs an image.

        A backward pass counts as two forward passes.
        """
        return self.teacher_macs + 3 * sum(cost.macs for cost in costs)
