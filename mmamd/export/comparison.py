"""A form that is not exact beside the float network, on images of the run: what it loses is said, not assumed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmamd.export.logits import Function


@dataclass(frozen=True)
class Samples:
    """Images of a run, preprocessed, shape (N, channels, H, W); read when they are asked for.

    Attributes:
        calibration: Batches of training images as they are tested, whose activations set the ranges of integers.
        test: Batches of test images, each with the index of its class, int64, shape (N,).
    """

    calibration: Callable[[], Iterable[Tensor]]
    test: Callable[[], Iterable[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Comparison:
    """Two functions on the same test images.

    Attributes:
        num_images: How many.
        value: Share of them whose class the form names.
        reference: Share whose class the float network names.
        stderr: Standard error of the difference of the two, paired by image.
        difference: Largest difference of logits over the largest absolute one.
    """

    num_images: int
    value: float
    reference: float
    stderr: float
    difference: float

    @property
    def is_loss(self) -> bool:
        """Whether the form is worse by more than chance explains: two standard errors."""
        return self.reference - self.value > 2 * self.stderr

    def __str__(self) -> str:
        verdict = 'a loss' if self.is_loss else 'no loss beyond chance'
        return (f'{100 * self.value:.2f} % of {self.num_images:,} test images right, {100 * self.reference:.2f} % in '
                f'float32: {100 * (self.value - self.reference):+.2f} +- {100 * self.stderr:.2f} points, {verdict}')


@torch.no_grad()
def compare(function: Function, reference: Function, batches: Iterable[tuple[Tensor, Tensor]]) -> Comparison:
    """Compare a form with the float network."""
    rights, differences, largest = [], [], []
    for images, labels in batches:
        logits, expected = function(images), reference(images)
        rights.append(torch.stack([logits.argmax(1) == labels, expected.argmax(1) == labels]).double())
        differences.append((logits - expected).abs().max())
        largest.append(expected.abs().max())
    right_2N = torch.cat(rights, dim=1)
    num = right_2N.shape[1]
    value, expected = right_2N.mean(1).tolist()
    stderr = float((right_2N[0] - right_2N[1]).std(correction=0)) / num**0.5
    return Comparison(num, value, expected, stderr, float(torch.stack(differences).max() / torch.stack(largest).max()))
