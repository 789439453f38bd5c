"""Which parameters of a distiller its loss reaches."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmamd.structures import Candidate, scale_key

if TYPE_CHECKING:
    from mmamd.distillation.distiller import AMDDistiller


def key_of(candidate: Candidate | None) -> str:
    """Key of a candidate, or of the whole network."""
    return scale_key(1.0) if candidate is None else candidate.key


def freeze_what_nothing_reaches(distiller: 'AMDDistiller', inputs: Tensor, samples: list) -> None:
    """One dry backward pass a candidate: DistributedDataParallel waits for every parameter that has gradients.

    Raises:
        ValueError: If a parameter takes part in the loss of some candidates and not of others.
    """
    trained = {name: p for name, p in distiller.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError(f'no term of {list(distiller.terms)} has parameters, so there is nothing to train with '
                         "trains='losses'")
    names, parameters = list(trained), list(trained.values())
    reached: dict[str, set[str]] = {}
    targets = distiller.teach(inputs, samples)
    # As in training, where a network may have branches that it has not in evaluation. Batch norms refuse one image.
    for module in distiller.network.modules():
        module.training = not isinstance(module, _BatchNorm)
    for candidate in distiller.candidates:
        distiller.activate(candidate)
        with torch.random.fork_rng(devices=[]):
            values = distiller.loss(inputs, samples, targets)
        total = sum(value.sum() for key, value in values.items() if 'loss' in key)
        found = torch.autograd.grad(total, parameters, allow_unused=True)
        reached[key_of(candidate)] = {name for name, gradient in zip(names, found, strict=True) if gradient is not None}
    everywhere, anywhere = set.intersection(*reached.values()), set.union(*reached.values())
    if everywhere != anywhere:
        name = sorted(anywhere - everywhere)[0]
        without = [key for key, found in reached.items() if name not in found]
        raise ValueError(f'the parameter {name} takes no part in the loss of the candidates {", ".join(without)}, '
                         'but in that of others; processes would train on different gradients. A term slices its '
                         'parameters to a candidate, it does not choose them by it')
    for name, parameter in zip(names, parameters, strict=True):
        parameter.requires_grad_(name in anywhere)
