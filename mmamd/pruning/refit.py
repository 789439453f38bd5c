"""Refit: a pruned network is made good in closed form, branch by branch, without training.

A network is its steps one after another (:class:`Step`); between them runs its residual stream. The last linear layer
of each branch of the pruned network is solved so that its stream, as the steps before have left it, meets the stream
of the whole network behind the same branch: what an earlier branch could not make good, a later one may. The
classifier comes last and meets the logits.

Legend: S the pruned network's, T the teacher's. Shapes: M equations, K inputs, C outputs of a last linear layer.
"""

import logging
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.notices import notice
from mmamd.pruning.least_squares import Equations, Solution, solve

IN_MEMORY = 4 * 2**30  # bytes of streams, of all images and networks together; more are kept in a file


class Step:
    """A part of a network between two places of its stream: by itself one that is fixed.

    Its parts run one after another: :meth:`enter`, :meth:`close`, :meth:`leave`.

    Args:
        name: Of the part of the network that it is.
        module: The part itself, from stream to stream.
    """

    is_refit = False
    has_statistics = False  # whether it has batch norms, whose statistics are those of the stream

    def __init__(self, name: str, module: Callable[[Tensor], Tensor]) -> None:
        self.name = name
        self._module = module

    def prepare(self, stream: Sequence[Tensor]) -> None:
        """Find the statistics of its norms anew on the stream before it; called before anything is solved."""

    def enter(self, x: Tensor) -> Tensor:
        """What its last linear layer reads, from the stream before it."""
        return self._module(x)

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        """The sum of its branch and its shortcut, from what the last linear layer reads, and the stream before."""
        return inner

    def leave(self, total: Tensor, x: Tensor) -> Tensor:
        """The stream behind it: the sum, and what a network does to it before the next step."""
        return total

    def run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and stream behind it."""
        total = self.close(self.enter(x), x)
        return total, self.leave(total, x)


class RefitStep(Step):
    """A step whose last linear layer is solved.

    Attributes:
        has_bias: Whether that layer has a bias.
    """

    is_refit = True
    has_bias = True

    def __init__(self, name: str) -> None:
        self.name = name

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (M, K) and wanted outputs (M, C) of the last linear layer, with which its sum is the target.

        Args:
            inner: What :meth:`enter` has made of the stream.
            x: The stream before the step.
            target: The sum of the teacher's step.
        """
        raise NotImplementedError

    @property
    def weight_KC(self) -> Tensor:
        """The active weights of the last linear layer."""
        raise NotImplementedError

    def assign(self, found: Solution, equations: Equations) -> None:
        """Give the last linear layer its weights. The equations tell a norm behind it what it will see."""
        raise NotImplementedError


class LinearStep(RefitStep):
    """A step whose last linear layer is a Linear, of which the leading inputs are active.

    Args:
        name: Of the part of the network that it is.
        linear: The layer.
        num_inputs: How many of its inputs are active.
    """

    def __init__(self, name: str, linear: nn.Linear, num_inputs: int) -> None:
        super().__init__(name)
        self.linear = linear
        self.num_inputs = num_inputs
        self.has_bias = linear.bias is not None

    @property
    def weight_KC(self) -> Tensor:
        return self.linear.weight[:, :self.num_inputs].T

    def assign(self, found: Solution, equations: Equations, first: int = 0) -> None:
        """As the contract says.

        Args:
            found: Weights of the active inputs from ``first`` on; without a bias the layer keeps its own.
            equations: Not looked at.
            first: Number of leading inputs whose weights stay.
        """
        self.linear.weight[:, first:self.num_inputs] = found.weight_KC.T.to(self.linear.weight)
        if found.bias_C is not None:
            self.linear.bias.copy_(found.bias_C)


class ReadOut(LinearStep):
    """The last layer of a head, which reads the stream and leaves it as it is.

    Args:
        name: Of the layer.
        linear: The layer.
        rest: Runs all of the network that is behind the stream, this layer included.
    """

    def __init__(self, name: str, linear: nn.Linear, rest: Callable[[Tensor], object]) -> None:
        super().__init__(name, linear, linear.in_features)
        self._rest = rest

    def enter(self, x: Tensor) -> Tensor:
        read: list[Tensor] = []
        hook = self.linear.register_forward_pre_hook(lambda _module, args: read.append(args[0]))
        try:
            self._rest(x)
        finally:
            hook.remove()
        return read[0]

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        return self.linear(inner)

    def leave(self, total: Tensor, x: Tensor) -> Tensor:
        return x

    def equations(self, inner: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return inner.flatten(0, -2), target.flatten(0, -2)


@dataclass
class Record:
    """What a refit has found of one network.

    Attributes:
        errors: Step -> share of the variance of its targets that the inherited weights miss with the best bias, and
            that the refit weights miss; of the mean square, where no bias is solved for.
        penalties: Step -> penalty of the refit weights, as such a share: with it they miss no more than the inherited.
        macs: MACs of the products of its equations, on all processes; its passes are not counted.
    """

    errors: dict[str, tuple[float, float]] = field(default_factory=dict)
    penalties: dict[str, float] = field(default_factory=dict)
    macs: int = 0


@torch.no_grad()
def refit(teacher: Sequence[Step], networks: dict[str, Sequence[Step]], batches: Sequence[Tensor], *,
          ridge: float = 1e-3, folder: Path | None = None,
          tell: Callable[[float, str], None] = lambda _fraction, _step: None) -> dict[str, Record]:
    """Refit several pruned networks in one walk along their teacher.

    The teacher's stream is computed once, and all networks follow in lockstep. The streams of all images are kept; on
    several processes each walks along images of its own, and all solve the same equations.

    Args:
        teacher: Steps of the whole network.
        networks: Key -> steps of a network that is pruned from it; it is changed in place. All are in eval mode. At
            each step they come in this order, which :mod:`mmamd.pruning.shared_refit` builds upon.
        batches: This process's preprocessed images, each (N, channels, H, W), on the networks' device.
        ridge: See :func:`mmamd.pruning.least_squares.solve`.
        folder: Where streams are kept that memory is not to hold.
        tell: Called after each step with the fraction of the steps that is done, and the step's name.

    Returns:
        Key -> what was found.

    Raises:
        ValueError: If there are no images.
        FloatingPointError: If activations are not finite; it names the network and the step.
    """
    if not batches:
        raise ValueError('no image to refit on; check that the training data set is not empty and '
                         'compression.refit.num_images is at least 1')
    store = _Store(batches[0].device, folder)
    stream_T, streams = list(batches), {key: list(batches) for key in networks}
    records = {key: Record() for key in networks}
    for i, step_T in enumerate(teacher):
        targets = []
        for n, x in enumerate(stream_T):
            total, x = step_T.run(store.fetch(x))
            targets.append(store.keep(total))
            stream_T[n] = targets[n] if x is total else store.keep(x)
        for key, steps in networks.items():
            try:
                _carry(steps[i], streams[key], targets, ridge, store, records[key])
            except FloatingPointError as error:
                raise FloatingPointError(f'refit of {key} at {steps[i].name}: {error}; check the teacher checkpoint, '
                                         'and that the images are finite') from error
        tell((i + 1) / len(teacher), step_T.name)
    return records


@torch.no_grad()
def macs_of_products(steps: Sequence[Step], image: Tensor) -> int:
    """MACs that the products of a refit's equations take for one image (1, channels, H, W); nothing is changed."""
    macs, x = 0, image
    for step in steps:
        inner = step.enter(x)
        total = step.close(inner, x)
        if step.is_refit:
            h_MK, t_MC = step.equations(inner, x, total)
            macs += len(h_MK) * h_MK.shape[1] * (h_MK.shape[1] + t_MC.shape[1])
        x = step.leave(total, x)
    return macs


def _carry(step: Step, stream: list[Tensor], targets: list[Tensor], ridge: float, store: '_Store',
           record: Record) -> None:
    """Refit one step of one network, and move its stream behind it, in place."""
    if step.has_statistics:
        step.prepare([store.fetch(x) for x in stream])
    if not step.is_refit:
        for n, x in enumerate(stream):
            _, left = step.run(store.fetch(x))
            stream[n] = store.keep(left)
        return
    inner = [store.keep(step.enter(store.fetch(x))) for x in stream]
    start_KC = step.weight_KC
    equations = Equations(*start_KC.shape, start_KC.dtype, start_KC.device)
    for z, x, target in zip(inner, stream, targets, strict=True):
        equations.add(*step.equations(store.fetch(z), store.fetch(x), store.fetch(target)))
    equations.reduce()
    record.macs += equations.macs  # of all processes
    if equations.num < len(start_KC):
        notice(f'refit of {step.name}: {equations.num} equations for {len(start_KC)} unknowns an output, so the ridge '
               'decides much of it; raise compression.refit.num_images', logging.WARNING, about='equations of a refit')
    found = solve(equations, start_KC, ridge, step.has_bias)
    whole = _missable(equations, step.has_bias)
    before, after, penalty = (part / whole if whole > 0 else 0. for part in (
        found.before, found.after, found.penalty))
    record.errors[step.name], record.penalties[step.name] = (before, after), penalty
    step.assign(found, equations)
    for n, x in enumerate(stream):
        x = store.fetch(x)
        stream[n] = store.keep(step.leave(step.close(store.fetch(inner[n]), x), x))


def _missable(equations: Equations, has_bias: bool) -> float:
    """Squared error of no weights at all, with the best bias."""
    squares = equations.tt_C - equations.t_C.square() / equations.num if has_bias else equations.tt_C
    return float(squares.sum())


class _Store:
    """Keeps tensors in memory up to a bound, and beyond it in files that go when the tensors do."""

    def __init__(self, device: torch.device, folder: Path | None) -> None:
        self._device = device
        self._folder = folder
        self._held = 0

    def keep(self, x: Tensor) -> Tensor:
        if self._held + x.nbytes <= IN_MEMORY:
            self._held += x.nbytes
            weakref.finalize(x, self._forget, x.nbytes)
            return x
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:  # its name goes at once, its bytes with the tensor
            mapped = torch.from_file(file.name, shared=True, size=x.numel(), dtype=x.dtype)
        return mapped.view(x.shape).copy_(x)

    def fetch(self, x: Tensor) -> Tensor:
        return x.to(self._device)

    def _forget(self, num_bytes: int) -> None:
        self._held -= num_bytes
