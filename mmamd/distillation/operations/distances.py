"""Distances of the student's knowledge s to the teacher's t, a value a sample (KD-Zero, Table 1).

``mean`` is that over all elements of a sample, axis 1 has the channels or classes.
"""

import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.logit import kl_divergences
from mmamd.distillation.operations.operation import distance, per_sample


@distance('smooth-l1')
def smooth_l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``|s - t| - 1/2``, of ``(s - t)^2 / 2`` where that is less than 1 apart."""
    return per_sample(F.smooth_l1_loss(student, teacher, reduction='none'))


@distance('l1')
def l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``|s - t|``."""
    return per_sample((student - teacher).abs())


@distance('l2')
def l2(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``(s - t)^2``."""
    return per_sample((student - teacher).square())


@distance('KL')
def kl(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(softmax(t) || softmax(s))`` over axis 1, the sum over positions."""
    return kl_divergences(student, teacher).reshape(len(student), -1).sum(dim=1)


@distance('hard')
def hard(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy of softmax(s) against ``argmax(t)`` over axis 1, mean over positions."""
    return per_sample(F.cross_entropy(student, teacher.argmax(dim=1), reduction='none'))


@distance('Cosine')
def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """``1 - cos(s, t)`` over axis 1, mean over positions."""
    return per_sample(1 - F.cosine_similarity(student, teacher, dim=1))


@distance('Pearson')
def pearson(student: Tensor, teacher: Tensor) -> Tensor:
    """``1 - r(s, t)`` with Pearson's correlation over axis 1, mean over positions."""
    return cosine(*(x - x.mean(dim=1, keepdim=True) for x in (student, teacher)))


@distance('Correlation', needs_batch=True)
def correlation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over elements of ``(c - 1)^2``, c Pearson's correlation of an element over the samples; a scalar.

    c is 0 where one of both does not vary.
    """
    student, teacher = (x.flatten(1) - x.flatten(1).mean(dim=0) for x in (student, teacher))
    return (F.cosine_similarity(student, teacher, dim=0) - 1).square().mean()
