"""Batch norm statistics of the candidate that is active.

Candidates that share weights share running statistics too, but a narrower one has other activations: evaluated with
the statistics of another it is far below what it can do. Its own are found anew on some training images (Yu & Huang
2019, "Universally Slimmable Networks", section 3.3), augmented as in training: the weights have learnt under the
statistics of such images, and those of others (without the black border that padding leaves, say) cost them accuracy.
The AMD paper is silent.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
import torch.nn as nn
from mmengine import dist
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmamd.backbones.elastic_sync_norm import apart
from mmamd.files.checkpoint import read_checkpoint, write_checkpoint
from mmamd.passes import frozen_eval


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace all running statistics by the mean over batches of the statistics that each batch norm sees.

    A batch norm that does not run, as in an auxiliary head, keeps those that it has.

    Batch norms run as in training, everything else as in evaluation, and no gradient is computed. Every rank is to
    be given the same batches: then all ranks have the same statistics, whatever their number. A network without batch
    norm is left alone, and no batch is drawn.

    Args:
        network: A host network that runs as the candidate; ``network(images, mode='tensor')`` runs its backbone.
        batches: Preprocessed images, each (N, channels, H, W), of about equal size.

    Returns:
        Number of images seen.

    Raises:
        ValueError: If there are no images; the statistics are as before then.
    """
    norms = batch_norms(network)
    if not norms:
        return 0
    batches = iter(batches)
    first = next(batches, None)
    if first is None or not len(first):
        raise ValueError('no image to recalibrate the batch norms on; check that the training data set is not empty '
                         'and compression.recalibration.num_images is at least 1')
    num_images, before = 0, [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    with frozen_eval(network), renewed(norms):
        for images in chain([first], batches):
            network(images, mode='tensor')
            num_images += len(images)
    for norm, saved in zip(norms, before, strict=True):
        if not norm.num_batches_tracked:
            for name, buffer in norm.named_buffers():
                buffer.copy_(saved[name])
    return num_images


@contextmanager
def renewed(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Batch norms that run as in training, and whose statistics are the means over what runs in the context.

    Elastic ones do so for this process alone: processes need not run equally many batches.
    """
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the host's word for a cumulative average
        norm.train()
    try:
        with apart(norms):
            yield
    finally:
        for norm, (momentum, training) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.train(training)


@contextmanager
def renewed_over_processes(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """The same where each process runs batches of its own: all have the means over the batches of all."""
    with renewed(norms):
        yield
    for norm in norms:
        num = norm.num_batches_tracked.double()
        sums = torch.cat([num[None], num * norm.running_mean.double(), num * norm.running_var.double()])
        dist.all_reduce(sums, op='sum')
        mean, variance = (sums[1:] / sums[0]).chunk(2)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


@contextmanager
def preserved(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Batch norms that run as in their mode, and whose statistics stay as they are whatever runs in the context."""
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.  # not put back afterwards: a backward pass may hold on to the statistics
    try:
        yield
    finally:
        for norm, (momentum, num) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(num)


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Batch norms that keep running statistics."""
    return [module for module in network.modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats]


def statistics(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all running statistics, by the names of the buffers; empty for a network without batch norm."""
    return {name: buffer.clone() for name, buffer in _running(network).items()}


@torch.no_grad()
def restore_statistics(network: nn.Module, saved: dict[str, Tensor]) -> None:
    """Put back what :func:`statistics` copied from a network of this shape."""
    for name, buffer in _running(network).items():
        buffer.copy_(saved[name])


def save_statistics(by_candidate: dict[str, dict[str, Tensor]], path: str | Path) -> None:
    """Write the statistics of several candidates, each under its key, as plain tensors."""
    write_checkpoint({key: {name: value.cpu() for name, value in saved.items()}
                      for key, saved in by_candidate.items()}, path)


def load_statistics(path: str | Path) -> dict[str, dict[str, Tensor]]:
    """What :func:`save_statistics` wrote, on the CPU."""
    return read_checkpoint(path)


def _running(network: nn.Module) -> dict[str, Tensor]:
    norms = set(batch_norms(network))
    return {f'{name}.{key}': buffer for name, module in network.named_modules() if module in norms
            for key, buffer in module.named_buffers(recurse=False)}

