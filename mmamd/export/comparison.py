"""A form that is not exact beside the float network, on images of the run: what it loses is said, not assumed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmamd.export.logits import Function


@dataclass(frozen=True)
class Samples:
    """Images of a run, preprocessed, shape (N, channels, H, W); read when they are asked for.

    Attributes:
        calibration: Batches of training images as they are tested, whose activations set the ranges of integers.
        test: Batches of test images, each with the index of its class, int64, shape (N,), or of that of each of its
            pixels, (N, H, W); what is no index of a class is not looked at.
    """

    calibration: Callable[[], Iterable[Tensor]]
    test: Callable[[], Iterable[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Comparison:
    """Two functions on the same test images.

    Attributes:
        num_images: How many.
        value: Share of them whose class the form names; where each position has one, the mean of their shares.
        reference: The same of the float network.
        stderr: Standard error of the difference of the two, paired by image.
        difference: Largest difference of logits over the largest absolute one.
        is_dense: Whether each position of an image has a class.
    """

    num_images: int
    value: float
    reference: float
    stderr: float
    difference: float
    is_dense: bool = False

    @property
    def is_loss(self) -> bool:
        """Whether the form is worse by more than chance explains: two standard errors."""
        return self.reference - self.value > 2 * self.stderr

    def __str__(self) -> str:
        verdict = 'a loss' if self.is_loss else 'no loss beyond chance'
        answers = 'the positions of ' * self.is_dense
        return (f'{100 * self.value:.2f} % of {answers}{self.num_images:,} test images right, '
                f'{100 * self.reference:.2f} % in float32: '
                f'{100 * (self.value - self.reference):+.2f} +- {100 * self.stderr:.2f} points, {verdict}')


@torch.no_grad()
def compare(function: Function, reference: Function, batches: Iterable[tuple[Tensor, Tensor]]) -> Comparison:
    """Compare a form with the float network."""
    rights, differences, largest = [], [], []
    for images, labels in batches:
        logits, expected = function(images), reference(images)
        rights.append(torch.stack([share_right(logits, labels), share_right(expected, labels)]))
        differences.append((logits - expected).abs().max())
        largest.append(expected.abs().max())
    right_2N = torch.cat(rights, dim=1)
    num = right_2N.shape[1]
    value, expected = right_2N.mean(1).tolist()
    stderr = float((right_2N[0] - right_2N[1]).std(correction=0)) / num**0.5
    return Comparison(num, value, expected, stderr, float(torch.stack(differences).max() / torch.stack(largest).max()),
                      labels.dim() > 1)


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of its positions whose class each image's logits name, double, shape (N,); of a class an image 0 or 1.

    Args:
        logits: (N, K), or (N, K, h, w), which are compared with the labels at the middle of their positions.
        labels: (N,), or (N, H, W); one outside of 0 to K - 1 does not count.
    """
    if labels.dim() > 1:
        labels = F.interpolate(labels[:, None].double(), logits.shape[2:], mode='nearest-exact')[:, 0].long()
    labels, said = labels.view(len(labels), -1), logits.argmax(1).view(len(labels), -1)
    has_class = (labels >= 0) & (labels < logits.shape[1])
    return (said == labels).sum(1).double() / has_class.sum(1).clamp(min=1)
