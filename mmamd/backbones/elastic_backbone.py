"""The contract of a backbone that can run as any candidate, and the part of it that knows branches alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticBranch
from mmamd.backbones.tail import Tail
from mmamd.pruning.filter_norms import FilterLayer
from mmamd.pruning.refit import Step
from mmamd.structures import Cost, UnitGroup


class ElasticBackbone:
    """What ranking, nesting, training, selection and export ask of a backbone; they know nothing else of it.

    A backbone inherits it before the host's class. It keeps the host's state-dict keys and shapes and, with all units
    active, computes the host's function. It says what its elastic branches are (:meth:`branches`), and what depends on
    how they are joined: :meth:`cost`, :meth:`cut`, :meth:`cut_arguments`. One class is both the shared network and the
    exported student: ``cut_arguments`` are keyword arguments of its constructor.

    Attributes:
        traces_any_size: Whether a graph that is traced of it is its function for images of any size.
    """

    traces_any_size = False

    def branches(self) -> Iterator[tuple[str, ElasticBranch]]:
        """Branches that still have units, by the name of their unit group, in network order."""
        raise NotImplementedError

    def cost(self, kept: dict[str, int]) -> Cost:
        """MACs of one image of ``input_shape`` and parameters of the backbone cut to ``kept``.

        Counts every matrix product and convolution, attention's two products included; norms, activations, softmax
        and additions are not counted.
        """
        raise NotImplementedError

    def cut(self, kept: dict[str, int]) -> None:
        """Remove all but the first ``kept[name]`` units of each group for good."""
        raise NotImplementedError

    def cut_arguments(self, kept: dict[str, int]) -> dict[str, list[int]]:
        """Constructor arguments that build this network cut to ``kept``."""
        raise NotImplementedError

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images that ``cost`` speaks of."""
        raise NotImplementedError

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs are the hidden states: the embedding, then every block."""
        raise NotImplementedError

    def steps(self) -> list[Step]:
        """The backbone as the steps of a refit, from images to the stream that :meth:`finish` takes.

        Raises:
            ValueError: If it offers none.
        """
        raise ValueError(f'{type(self).__name__} offers no steps to refit; set compression.refit=None')

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        """What the backbone returns last, in a tuple of one, made from the stream behind its last step.

        A head that reads outputs of several stages cannot run on it.
        """
        raise NotImplementedError

    def tail(self) -> Tail:
        """Its last stage, to be run again on another stream.

        Raises:
            ValueError: If it offers none.
        """
        raise ValueError(f'{type(self).__name__} offers no last stage to be run again (tail); use a backbone that '
                         'does, such as mmamd.MaskedViT, MaskedSwin or MaskedResNet')

    def last_stages(self) -> tuple[nn.Module, nn.Module]:
        """Modules whose outputs are those of its last two stages, of which the later one is the tail's.

        Raises:
            ValueError: As :meth:`tail`.
        """
        tail = self.tail()
        return tail.before, tail.behind

    def present_names(self, state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
        """A state dict of an earlier version of the host, or of another host, under the names of the present one.

        Args:
            state: Weights of a network that contains the backbone.
            prefix: What the names of the backbone's weights start with.
        """
        return state

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        present = self.present_names(state_dict, prefix)
        if present is not state_dict:
            state_dict.clear()
            state_dict.update(present)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def unit_groups(self) -> list[UnitGroup]:
        """One group a branch, in network order."""
        return [UnitGroup(name, branch.kind, branch.count, branch.scope, branch.min_count)
                for name, branch in self.branches()]

    def filter_layers(self) -> list[FilterLayer]:
        """The convolution that ranks each unit group, in network order; none where the units are no filters."""
        return []

    @contextmanager
    def gates(self, batch_size: int) -> Iterator[dict[str, Tensor]]:
        """Multiply each unit's contribution by a gate a sample while the context lasts.

        Yields:
            Group name -> leaf tensor of ones, shape (batch_size, count), that receives a gradient.
        """
        like = next(self.parameters())
        gates = {name: torch.ones(batch_size, branch.count, dtype=like.dtype, device=like.device, requires_grad=True)
                 for name, branch in self.branches()}
        try:
            for name, branch in self.branches():
                branch.gate = gates[name]
            yield gates
        finally:
            for _, branch in self.branches():
                branch.gate = None

    def reorder(self, order: dict[str, list[int]]) -> None:
        """Permute the units of the named groups in place; the function is unchanged.

        Raises:
            ValueError: If an order is no permutation; nothing has been moved then.
        """
        branches = dict(self.branches())
        for name, indices in order.items():
            if sorted(indices) != list(range(branches[name].count)):
                raise ValueError(f'the order of {name} must be a permutation of its {branches[name].count} units, '
                                 f'got {indices}')
        for name, indices in order.items():
            branches[name].reorder(indices)

    def activate(self, kept: dict[str, int] | None = None) -> None:
        """Run as the sub-network that keeps the first ``kept[name]`` units of each group; None runs all.

        Raises:
            ValueError: If a group has fewer units than that, or must keep more; it names the group.
        """
        for name, branch in self.branches():
            count = branch.count if kept is None else kept[name]
            if not branch.min_count <= count <= branch.count:
                raise ValueError(f'{name}: cannot keep {count} of {branch.count} {branch.kind}s; '
                                 f'expected {branch.min_count} to {branch.count}')
            branch.active = count
