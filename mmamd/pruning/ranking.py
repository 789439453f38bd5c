"""From importance to one list of all prunable units, most important first.

Scores of different layers and kinds are not comparable as they come. Within a group they are l2-normalised; units of
one kind are then ranked within their scope; kinds and scopes are merged by *relative* rank, so that each loses the
same share of its units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from mmamd.pruning.importance import check_importance
from mmamd.structures import Importance, UnitGroup


@dataclass(frozen=True)
class Ranking:
    """The order in which units are kept.

    Attributes:
        order: Group name -> original indices of its units by descending importance; every group of the network.
        sequence: Group names, one entry a prunable unit, most important unit first. The n-th occurrence of a name
            stands for ``order[name][n]``: a prefix of the sequence keeps a prefix of every group.
    """

    order: dict[str, list[int]]
    sequence: list[str]


def normalise(importance: Importance, groups: list[UnitGroup]) -> dict[str, list[float]]:
    """Divide the scores of each group by their l2 norm.

    AMD, supplement section 1, after Molchanov et al. 2016; a group is one kind in one layer. No epsilon: a group
    without any importance is an error.

    Raises:
        ValueError: See :func:`mmamd.pruning.check_importance`.
    """
    check_importance(importance, groups)
    normalised = {}
    for group in groups:
        scores = importance.scores[group.name]
        norm = math.hypot(*scores)  # rescales internally: squares of tiny gradients do not underflow
        normalised[group.name] = [score / norm for score in scores]
    return normalised


def rank(importance: Importance, groups: list[UnitGroup], prune: Sequence[str] = ('head', 'neuron')) -> Ranking:
    """Rank all units and merge those that may be pruned by relative rank.

    The unit at position i (from 0) of the U units of its kind and scope has relative rank (i + 0.5) / U. Equal scores
    keep the order of layer and index; equal relative ranks keep the order of ``prune``, then of the layers.

    Args:
        importance: Raw scores of every group.
        groups: Unit groups of the network, in network order.
        prune: Kinds that may be pruned.

    Raises:
        ValueError: If ``prune`` is empty or names a kind that the network does not have, or as in :func:`normalise`.
    """
    _check_kinds(groups, prune)
    scores = normalise(importance, groups)
    # sorted() is stable: ties stay in the order of the indices, and below in that of the layers.
    order = {group.name: sorted(range(group.count), key=lambda i, s=scores[group.name]: -s[i]) for group in groups}

    pools: dict[tuple[str, str], list[UnitGroup]] = {}
    for group in groups:
        if group.kind in prune:
            pools.setdefault((group.kind, group.scope), []).append(group)
    layer = {group.name: i for i, group in enumerate(groups)}
    merged = []
    for (kind, _), pool in pools.items():
        units = [(-score, group.name) for group in pool for score in scores[group.name]]
        names = [name for _, name in sorted(units, key=itemgetter(0))]
        # (i + 0.5) / U is correctly rounded, so equal ranks of different pools compare equal.
        merged += [((i + 0.5) / len(names), prune.index(kind), layer[name], name) for i, name in enumerate(names)]
    return Ranking(order, [name for *_, name in sorted(merged)])


def _check_kinds(groups: list[UnitGroup], prune: Sequence[str]) -> None:
    kinds = list(dict.fromkeys(group.kind for group in groups))
    if isinstance(prune, str) or not prune or not set(prune) <= set(kinds):
        whole = "; ('block',) alone drops whole blocks" if any(group.block for group in groups) else ''
        raise ValueError(f'prune must name kinds of units that the network has, a non-empty part of {kinds}, '
                         f'got {prune!r}; name some of these{whole}')
