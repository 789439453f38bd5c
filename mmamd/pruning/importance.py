"""Importance of a unit: how strongly the task loss of an image reacts to the unit's gate.

    S_u = E_x | dL(x) / dgate_u |        at gate 1        (AMD, supplement section 1, Eq. 3)

The absolute value stands inside the expectation. The backbone offers one gate a unit *and sample*, so a single
backward pass of the summed loss gives every image's own gradient. Signed gradients are never summed over images at
level ``'sample'``; level ``'batch'`` sums them within a batch, as MiniDisc does, and then depends on the batch size.

Shapes: N samples, U units of one group.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn as nn
from mmengine import dist
from torch import Tensor

from mmamd.passes import frozen_eval
from mmamd.structures import Importance, UnitGroup

LEVELS = ('sample', 'batch')


def unit_scores(network: nn.Module, inputs: Tensor, data_samples: list, level: str = 'sample') -> dict[str, Tensor]:
    """Scores of one batch, in one forward and one backward pass.

    The pass runs in eval mode with frozen weights; modes, flags and gradients of the weights are as before afterwards.
    A sample's gradient is its own only if the network treats samples independently and its loss is a mean over
    samples; both hold for the host's classifiers in eval mode.

    Args:
        network: ``network(inputs, data_samples, mode='loss')`` returns the task loss; ``network.backbone.gates(N)``
            yields group name -> gates (N, U).
        inputs: Preprocessed images, shape (N, channels, height, width).
        data_samples: Their N annotations.
        level: ``'sample'`` for the sum over the samples of ``|dL(x)/dgate|``, ``'batch'`` for the absolute gradient of
            the batch-mean loss.

    Returns:
        Group name -> scores (U,).

    Raises:
        ValueError: If ``level`` is unknown or the network returns no loss.
    """
    if level not in LEVELS:
        raise ValueError(f'importance level must be one of {LEVELS}, got {level!r}')
    with frozen_eval(network), torch.enable_grad(), network.backbone.gates(len(inputs)) as gates:
        # Times N: the sum over samples, so that row n of a gate's gradient is the gradient of sample n's own loss.
        loss = _task_loss(network(inputs, data_samples, mode='loss')) * len(inputs)
        gradients_NU = torch.autograd.grad(loss, list(gates.values()))
    if level == 'sample':
        return {name: g_NU.abs().sum(0) for name, g_NU in zip(gates, gradients_NU, strict=True)}
    return {name: g_NU.mean(0).abs() for name, g_NU in zip(gates, gradients_NU, strict=True)}


def score(network: nn.Module, batches: Iterable[dict], level: str = 'sample') -> Importance:
    """Importance of every unit, averaged over the images of all ranks.

    All ranks must call it; all return the same importance, also those that were given no batch.

    Args:
        network: See :func:`unit_scores`.
        batches: This rank's batches, already preprocessed: dicts with ``inputs`` and ``data_samples``.
        level: ``'sample'`` averages over images, ``'batch'`` over batches.

    Raises:
        ValueError: If no rank was given an image, or as in :func:`unit_scores`.
    """
    groups = network.backbone.unit_groups()
    counts = [group.count for group in groups]
    num_images = num_batches = 0
    total = torch.zeros(sum(counts), dtype=torch.float64)
    for batch in batches:
        scores = unit_scores(network, batch['inputs'], batch['data_samples'], level)
        total += torch.cat([scores[group.name] for group in groups]).cpu()  # one copy from the device a batch
        num_images += len(batch['inputs'])
        num_batches += 1

    # One reduction for everything, of sums: ranks may hold different numbers of images.
    packed = torch.cat([torch.tensor([num_images, num_batches], dtype=torch.float64), total])
    dist.all_reduce(packed, op='sum')
    num_images, num_batches = int(packed[0]), int(packed[1])
    if num_images == 0:
        raise ValueError('no image to score units on; check that the data loader of the score stage yields batches')
    mean = packed[2:] / (num_images if level == 'sample' else num_batches)
    scores = {group.name: part.tolist() for group, part in zip(groups, mean.split(counts), strict=True)}
    return Importance(scores, num_images, level)


def check_importance(importance: Importance, groups: list[UnitGroup]) -> None:
    """Check that ``importance`` belongs to the network with these ``groups`` and can be ranked.

    Raises:
        ValueError: If a group is missing, unknown or of another size (importance of another architecture), or if
            scores are NaN, infinite, negative, or all zero in a group.
    """
    other = 'the importance is of another architecture; score this network again'
    expected, got = {group.name for group in groups}, set(importance.scores)
    if expected != got:
        raise ValueError(f'importance lacks the groups {sorted(expected - got)} and has the unknown groups '
                         f'{sorted(got - expected)}: {other}')
    for group in groups:
        scores = importance.scores[group.name]
        if len(scores) != group.count:
            raise ValueError(f'importance of {group.name} has {len(scores)} scores, expected {group.count}: {other}')
        bad = next((i for i, s in enumerate(scores) if not math.isfinite(s)), None)
        if bad is not None:
            raise ValueError(f'importance of {group.name} is {scores[bad]} at unit {bad}; the loss or a gradient '
                             'overflowed: check the teacher checkpoint and score in float32')
        if min(scores) < 0:
            raise ValueError(f'importance of {group.name} is negative ({min(scores)}); expected mean absolute '
                             'gradients: score the network again')
        if max(scores) == 0:
            raise ValueError(f'importance of {group.name} is zero for all {group.count} units, so they cannot be '
                             'ranked; check that the teacher is trained, or score on more images')


def _task_loss(losses: dict) -> Tensor:
    # MMEngine's rule: the entries whose key contains 'loss' add up, and an entry may be a list of tensors.
    values = [value for key, value in losses.items() if 'loss' in key]
    if not values:
        raise ValueError(f"the network returned no loss to score units by: no key of {sorted(losses)} contains 'loss'")
    tensors = [t for value in values for t in (value if isinstance(value, (list, tuple)) else [value])]
    return sum(tensor.mean() for tensor in tensors)
