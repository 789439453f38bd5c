"""What changes the alphas of a search: one call a step of training, before the weights' own step."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from mmamd.checks import check, number
from mmamd.distillation.distiller import AMDDistiller
from mmamd.distillation.losses.distpro import ProcessLoss
from mmamd.search.distpro.hyper_gradient import RADIUS, hyper_gradient
from mmamd.search.distpro.unroll import check_optimizer, next_weights


class AlphaUpdate:
    """Adam's step on the alphas along the gradient of the held-out loss after the weights' next step.

    The training loss is that of the distiller, all of its terms; the held-out loss is the network's own, without
    distillation. Nothing else changes: the passes run on copies of the buffers, by ``functional_call``, and each of
    them draws what the step that follows will draw. They are in full precision whatever the training's, and the step
    that is looked ahead to has no clipping of gradients.

    Args:
        distiller: Of one student, with one :class:`ProcessLoss` of mode ``'search'``; on its device already.
        optimizer: That of the weights: SGD, Adam or AdamW.
        lr: Learning rate of the alphas; DistPro has 0.1 for CNNs and 1e-3 for transformers.
        betas: Of Adam, the authors'.
        radius: See :func:`hyper_gradient`.
        unrolled: Whether it is looked ahead; the gradient is 0 otherwise, so False is refused.

    Attributes:
        term: The term whose alphas are searched.

    Raises:
        ValueError: An option is none of these, the distiller is another, or its optimizer has the alphas too.
    """

    def __init__(self, distiller: AMDDistiller, optimizer: Optimizer, *, lr: float = 0.1,
                 betas: tuple[float, float] = (0.5, 0.999), radius: float = RADIUS, unrolled: bool = True) -> None:
        if not unrolled:
            raise ValueError('unrolled=False leaves the alphas without a gradient: the held-out loss knows them only '
                             'through the next weights; leave it out')
        check('lr', lr, number(above=0.))
        check('radius', radius, number(above=0.))
        check_optimizer(optimizer)
        if len(distiller.candidates) != 1:
            raise ValueError(f'a process is searched with one student, got {len(distiller.candidates)} candidates')
        self.name = _searched(distiller)
        self.term = distiller.terms[self.name]
        if any(each is self.term.alpha for group in optimizer.param_groups for each in group['params']):
            raise ValueError(f'the optimizer of the weights has the alphas of losses.{self.name} too, which would '
                             'decay them; give it the parameters of the model alone')
        self.distiller, self.optimizer, self.radius = distiller, optimizer, radius
        self.adam = torch.optim.Adam([self.term.alpha], lr=lr, betas=tuple(betas))

    def step(self, train: dict, held_out: dict) -> Tensor:
        """Change the alphas once.

        Args:
            train: A preprocessed batch with its ``targets``, that of the weights' next step.
            held_out: A preprocessed batch of held-out images: ``inputs`` and ``data_samples``.

        Returns:
            The gradient that the alphas have followed, one number a pathway.
        """
        gradient = self.gradient(train, held_out)
        self.term.alpha.grad = gradient
        self.adam.step()
        self.term.alpha.grad = None
        return gradient

    def gradient(self, train: dict, held_out: dict) -> Tensor:
        """The gradient alone."""
        distiller = self.distiller
        trained = {each for group in self.optimizer.param_groups for each in group['params']}
        parameters = {name: each for name, each in distiller.named_parameters()
                      if each in trained and each.requires_grad}
        alpha_name = f'terms.{self.name}.alpha'
        distiller.activate(distiller.candidates[0])

        def train_loss(weights: dict[str, Tensor], alpha: Tensor) -> Tensor:
            return distiller.parse_losses(_undisturbed(distiller, {**weights, alpha_name: alpha}, train))[0]

        def held_out_loss(weights: dict[str, Tensor]) -> Tensor:
            own = {name.removeprefix('network.'): weight for name, weight in weights.items()
                   if name.startswith('network.')}
            return distiller.parse_losses(_undisturbed(distiller.network, own, held_out))[0]

        return hyper_gradient(train_loss, held_out_loss,
                              lambda gradients: next_weights(self.optimizer, parameters, gradients), parameters,
                              self.term.alpha, self.radius)

    def state_dict(self) -> dict:
        """Of Adam; the alphas are in the distiller's."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self.adam.load_state_dict(state)


def _searched(distiller: AMDDistiller) -> str:
    names = [name for name, term in distiller.terms.items()
             if isinstance(term, ProcessLoss) and term.mode == 'search']
    if len(names) != 1:
        raise ValueError(f"a search needs one term whose alphas it finds, got {names or 'none'}; e.g. "
                         "losses.process=dict(type='mmamd.ProcessLoss', mode='search')")
    return names[0]


def _undisturbed(module: nn.Module, tensors: dict[str, Tensor], batch: dict) -> dict[str, Tensor]:
    """Losses of a module with other weights, its buffers and the states of random numbers being left as they are."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    device = batch['inputs'].device
    with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
        return functional_call(module, {**buffers, **tensors}, kwargs=dict(**batch, mode='loss'))
