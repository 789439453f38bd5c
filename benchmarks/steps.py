"""The steps of the method, each ready to be timed on one batch of random images."""

import argparse
from collections.abc import Sequence

import networks
import torch

from mmamd.pruning.importance import unit_scores
from mmamd.structures import Candidate, Cost


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

    def macs(self, *costs: Cost) -> float:
        """A training step of networks of these costs and one forward pass of the teacher, in MACs an image.

        A backward pass counts as two forward passes.
        """
        return self.teacher_macs + 3 * sum(cost.macs for cost in costs)
