"""What elastic transformers share: blocks of two residual branches, each behind a norm of its own."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.elastic_layers import BiasBranch, ElasticBranch, num_params
from mmamd.backbones.scaled_step import ScaledStep
from mmamd.pruning.refit import Step
from mmamd.structures import Cost, UnitGroup


class Site(NamedTuple):
    """Where a residual branch sits.

    Attributes:
        block_name: Name of the block within the backbone.
        kind: Kind of the branch's units.
        block: The block.
        norm, branch: Names of the norm and of the branch behind it within the block.
        num_tokens: Tokens of one image that the branch runs on.
        place: Further arguments of the branch: the size of its map, for one that asks for it.
    """

    block_name: str
    kind: str
    block: nn.Module
    norm: str
    branch: str
    num_tokens: int
    place: tuple = ()

    @property
    def group(self) -> str:
        return f'{self.block_name}.{self.kind}'


class BranchStep(ScaledStep):
    """A residual branch behind its norm."""

    def __init__(self, site: Site) -> None:
        branch = getattr(site.block, site.branch)
        last = branch.last
        super().__init__(site.group, last, last.in_features // branch.count * branch.active,
                         branch.last_scale(last.weight.new_ones(1, 1, last.out_features)).flatten())
        self._norm, self._branch, self._place = getattr(site.block, site.norm), branch, site.place

    def enter(self, x: Tensor) -> Tensor:
        return self._branch.inner(self._norm(x), *self._place)

    def close(self, inner: Tensor, x: Tensor) -> Tensor:
        return x + self._branch.outer(inner)


class ElasticTransformer(ElasticBackbone):
    """An elastic backbone whose units are attention heads and hidden neurons.

    A subclass puts elastic branches into the host's blocks, says where they sit (:meth:`sites`) and what the rest
    costs (:meth:`fixed_macs`), and calls :meth:`cut_to` last in its constructor.
    """

    def sites(self) -> Iterator[Site]:
        """Places of all branches, in network order."""
        raise NotImplementedError

    def fixed_macs(self) -> int:
        """MACs of one image outside the branches."""
        raise NotImplementedError

    def stem(self, images: Tensor) -> Tensor:
        """The stream before the first block, (N, L, C), from images (N, channels, H, W)."""
        raise NotImplementedError

    def behind(self, site: Site) -> Step | None:
        """What runs between a branch and the next one; None where nothing does."""
        return None

    def steps(self) -> list[Step]:
        steps = [Step('stem', self.stem)]
        for site in self.sites():
            steps.append(BranchStep(site) if isinstance(getattr(site.block, site.branch), ElasticBranch) else
                         Step(site.group, partial(_add_bias, site)))
            behind = self.behind(site)
            steps += [] if behind is None else [behind]
        return steps

    def branches(self) -> Iterator[tuple[str, ElasticBranch]]:
        for site in self.sites():
            branch = getattr(site.block, site.branch)
            if isinstance(branch, ElasticBranch):
                yield site.group, branch

    def unit_groups(self) -> list[UnitGroup]:
        block = {site.group: site.block_name for site in self.sites()}
        return [replace(group, block=block[group.name]) for group in super().unit_groups()]

    def cost(self, kept: dict[str, int]) -> Cost:
        """As the contract says; an empty branch is its bias, and its norm is neither run nor counted."""
        total = Cost(self.fixed_macs(), num_params(self))
        for site in self.sites():
            norm, branch = (getattr(site.block, name) for name in (site.norm, site.branch))
            if isinstance(branch, BiasBranch):
                continue
            count = kept[site.group]
            total += Cost(0, -num_params(branch)) + branch.cost(count, site.num_tokens, *site.place)
            if count == 0:
                total += Cost(0, -num_params(norm))
        return total

    def cut(self, kept: dict[str, int]) -> None:
        """As the contract says; an empty branch becomes its bias alone and loses its norm."""
        self.activate(kept)  # refuses a wrong count before anything is removed
        for site in list(self.sites()):
            branch = getattr(site.block, site.branch)
            if not isinstance(branch, ElasticBranch):
                continue
            count = kept[site.group]
            if count < branch.count:
                setattr(site.block, site.branch, branch.cut(count))
            if count == 0:
                setattr(site.block, site.norm, nn.Identity())

    def cut_arguments(self, kept: dict[str, int]) -> dict[str, list[int]]:
        return {f'{kind}s': [kept.get(f'{name}.{kind}', 0) for name in self._block_names()]
                for kind in ('head', 'neuron')}

    def cut_to(self, heads: list[int] | None, neurons: list[int] | None) -> None:
        """Cut to the constructor's arguments: one count a block, None for all.

        Raises:
            ValueError: If there is not one count a block, or a count is out of range.
        """
        names = self._block_names()
        kept = {name: branch.count for name, branch in self.branches()}
        for kind, counts in (('head', heads), ('neuron', neurons)):
            if counts is None:
                continue
            if len(counts) != len(names):
                raise ValueError(f'{kind}s must give one count for each of the {len(names)} blocks, '
                                 f'got {len(counts)}: {counts}')
            kept |= {f'{name}.{kind}': count for name, count in zip(names, counts, strict=True)}
        self.cut(kept)

    def check_plain(self, kept: dict[str, int], host: str, num_heads: list[int]) -> None:
        """Check that the host's own class can be this network cut to ``kept``.

        Args:
            kept: Group name -> number of leading units kept.
            host: Name of the host's class.
            num_heads: Heads of each block of the whole network.

        Raises:
            ValueError: If a block has lost heads, which the host cannot express; it names the blocks.
        """
        pruned = [f'{name} keeps {count} of {whole} heads'
                  for name, whole in zip(self._block_names(), num_heads, strict=True)
                  if (count := kept.get(f'{name}.head', 0)) < whole]
        if pruned:
            more = f' and {len(pruned) - 3} more blocks have lost heads' if len(pruned) > 3 else ''
            raise ValueError(f'{", ".join(pruned[:3])}{more}, and the attention of a {host} is as wide as '
                             "its embedding; prune neurons alone (compression.prune=('neuron',))")
        gone = [site.block_name for site in self.sites() if isinstance(getattr(site.block, site.branch), BiasBranch)]
        if gone:
            raise ValueError(f'{", ".join(gone)} had no neurons before this run, so there are no weights of its norm')

    def _block_names(self) -> list[str]:
        return list(dict.fromkeys(site.block_name for site in self.sites()))


def _add_bias(site: Site, x: Tensor) -> Tensor:
    """A branch that has lost its units."""
    return x + getattr(site.block, site.branch)(x, *site.place)
