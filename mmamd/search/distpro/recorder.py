"""What a search keeps of its alphas: they over time are the process."""

import torch

from mmamd.distillation.losses.distpro import Process, ProcessLoss
from mmamd.distillation.losses.distpro.normalisation import scale_of


class Recorder:
    """The alphas of a term and its weights at some steps.

    Args:
        term: Of mode ``'search'``, built.
    """

    def __init__(self, term: ProcessLoss) -> None:
        self.term = term
        self.points: list[dict] = []

    @torch.no_grad()
    def record(self, step: int) -> None:
        """Keep what they are now.

        Raises:
            ValueError: If they are not finite, or the step is not after those before.
        """
        if self.points and step <= self.points[-1]['step']:
            raise ValueError(f'step {step} does not come after {self.points[-1]["step"]}, which was recorded last')
        if not self.term.alpha.isfinite().all():
            raise ValueError(f'the alphas are not finite at step {step}: {self.term.alpha.tolist()}; lower their '
                             'learning rate')
        self.points.append(dict(step=step, alphas=self.term.alpha.tolist(), weights=self.term.weights(0.).tolist()))

    def process(self, config_hash: str = '') -> Process:
        """The process so far, whose end is the last recorded step."""
        pairs = self.term.pairs[0]
        return Process(
            tuple(own for own, _ in pairs), tuple(others for _, others in pairs), self.term.pathways,
            *(tuple(point[name] if name == 'step' else tuple(point[name]) for point in self.points)
              for name in ('step', 'alphas', 'weights')),
            self.term.normalisation, scale_of(self.term.scale, len(self.term.pathways)), config_hash)

    def state_dict(self) -> dict:
        return {'points': [dict(each) for each in self.points]}

    def load_state_dict(self, state: dict) -> None:
        self.points = [dict(each) for each in state['points']]
