"""Distillers that cannot train a student, found by one loss and its gradient, before any training (section 3.2)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mmamd.distillation.genome import Genome
from mmamd.distillation.losses.genome import genome_loss
from mmamd.registry import KD_TRANSFORMS
from mmamd.seeds import derive_seed

Reason = Literal['no batch', 'shapes differ', 'knowledge too large', 'loss not finite', 'loss negative',
                 'loss too large', 'gradient not finite', 'gradient zero', 'gradient too large']


class Rejected(Exception):
    """A distiller is not to be tried, or its trial has collapsed; the message is the reason."""


@dataclass(frozen=True)
class Bounds:
    """What a distiller may be.

    Attributes:
        most_loss: Largest loss; that of the banks of KD-Zero's group is of this size.
        least_loss: Negative losses of rounding are let through.
        most_gradient: Largest length of the gradient by the student's knowledge.
        least_gradient: Length below which a gradient counts as zero.
        most_elements: Of what the transforms make of a batch of knowledge, on the way too. All pairs of 4,096 patches
            of 32 images, 2 GiB, are twice as many.
    """

    most_loss: float = 1e3
    least_loss: float = -1e-5
    most_gradient: float = 1e4
    least_gradient: float = 1e-8
    most_elements: int = 2**28


@dataclass(frozen=True)
class Knowledge:
    """What two networks make of one batch, of one shape for both.

    Attributes:
        student, teacher: Knowledge by what a genome calls it: ``'feature'``, ``'embedding'``, ``'logits'``.
        target: Class of each sample, int64, (N,).
    """

    student: dict[str, Tensor]
    teacher: dict[str, Tensor]
    target: Tensor


def gaussian_knowledge(seed: int = 0, num: int = 32, channels: int = 64, side: int = 8,
                       classes: int = 100) -> Knowledge:
    """Standard normal maps, embeddings and logits, independent of each other."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {'feature': (num, channels, side, side), 'embedding': (num, channels), 'logits': (num, classes)}
    student, teacher = ({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
                        for _ in range(2))
    return Knowledge(student, teacher, torch.randint(classes, (num,), generator=generator))


def reason_against(genome: Genome, knowledge: Knowledge, bounds: Bounds = Bounds()) -> Reason | None:
    """Why a distiller is rejected, of one loss and its gradient by the student's knowledge; None if it is not."""
    student = knowledge.student[genome.input].detach().clone().requires_grad_()
    dense = knowledge.student['logits'].ndim > 2
    if len(student) == 1 and genome.canonical(dense).needs_batch:
        return 'no batch'
    if student.shape != knowledge.teacher[genome.input].shape:
        return 'shapes differ'
    if _most_elements(genome, student) > bounds.most_elements:
        return 'knowledge too large'
    loss = genome_loss(genome, student, knowledge.teacher[genome.input], knowledge.student['logits'],
                       knowledge.teacher['logits'], knowledge.target, _rand)
    if not loss.isfinite():
        return 'loss not finite'
    if loss < bounds.least_loss:
        return 'loss negative'
    if loss > bounds.most_loss:
        return 'loss too large'
    gradient, = torch.autograd.grad(loss, student)
    length = gradient.double().norm()
    if not length.isfinite():
        return 'gradient not finite'
    if length < bounds.least_gradient:
        return 'gradient zero'
    return 'gradient too large' if length > bounds.most_gradient else None


def _most_elements(genome: Genome, knowledge: Tensor) -> int:
    """Of the knowledge and all that its transforms make of it, by shapes alone."""
    x, sizes = knowledge.detach().to('meta'), [knowledge.numel()]
    for name in genome.transforms:
        x = KD_TRANSFORMS.module_dict[name](x, partial(torch.rand, device='meta'))
        sizes.append(x.numel())
    return max(sizes)


def _rand(slot: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(derive_seed('rejection', slot)))
