"""A network as the plain function from images to logits, and how far two such functions are apart."""

from collections.abc import Callable

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.structures import Candidate, Network

TOLERANCE = 1e-5  # of the largest absolute logit
BATCHES = (1, 3)  # numbers of images that a form must take; neither is the number it was traced with

Function = Callable[[Tensor], Tensor]


class Logits(nn.Module):
    """A host network as a module of one tensor: preprocessed images (N, channels, H, W) -> logits (N, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images, mode='tensor')


def sliced(network: nn.Module, candidate: Candidate | Network) -> Function:
    """The candidate as slices of the shared network: the function that every form must be."""
    def logits_of(images: Tensor) -> Tensor:
        network.backbone.activate(candidate.kept)
        try:
            return network(images, mode='tensor')
        finally:
            network.backbone.activate(None)

    return logits_of


def draw_images(num: int, input_shape: tuple[int, int, int]) -> Tensor:
    """Fixed random images, preprocessed, shape (num, channels, H, W)."""
    return torch.randn(num, *input_shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def largest_difference(function: Function, reference: Function, input_shape: tuple[int, int, int],
                       draw: Callable[[int, tuple[int, int, int]], Tensor] = draw_images) -> float:
    """Largest difference of two functions over the largest absolute logit of the second, on images that are drawn."""
    differences = []
    for batch in BATCHES:
        images = draw(batch, input_shape)
        expected = reference(images)
        differences.append((function(images) - expected).abs().max() / expected.abs().max())
    # A NaN agrees with nothing; Python's max would lose it.
    return float(torch.stack(differences).max())


def check_difference(difference: float, what: object) -> None:
    """Raise RuntimeError unless a form computes the network's function."""
    if not difference <= TOLERANCE:
        raise RuntimeError(f'{what} differs from the network by {difference:.1e} of the largest logit, expected at '
                           f'most {TOLERANCE}; do not deploy it')
