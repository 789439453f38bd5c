"""Whole residual blocks in place of single units: the ranking of a network that becomes shallower.

This is how AMD's Table 1 makes its students of two layers (supplement, section 2): a candidate keeps all heads and
neurons of some blocks and none of the others. Which ones the paper leaves open; here the most important ones stay.
"""

import math
from collections import Counter

from mmamd.pruning.importance import check_importance
from mmamd.pruning.ranking import Ranking, rank
from mmamd.structures import Importance, UnitGroup

BLOCK = 'block'  # what prune says in place of kinds of units


def block_scores(importance: Importance, groups: list[UnitGroup]) -> dict[str, float]:
    """Importance of each block, in network order: the sum over its kinds of the share of the scores it holds.

    The share is that of the kind's raw scores within the scope, so that heads and neurons count the same. Scores are
    not normalised a layer, as those of units are: what tells blocks apart would go.

    Raises:
        ValueError: See :func:`mmamd.pruning.check_importance`.
    """
    check_importance(importance, groups)
    members = [group for group in groups if group.block is not None]
    total: Counter = Counter()
    for group in members:
        total[group.kind, group.scope] += math.fsum(importance.scores[group.name])
    scores: Counter = Counter()
    for group in members:
        scores[group.block] += math.fsum(importance.scores[group.name]) / total[group.kind, group.scope]
    return dict(scores)


def rank_blocks(importance: Importance, groups: list[UnitGroup]) -> Ranking:
    """Rank the blocks, within their scope, and merge the scopes by relative rank as :func:`rank` merges units.

    Returns:
        The order of the units within each group, and as its sequence the names of all blocks, the most important first.
        Of equal ones the first in the network is first.

    Raises:
        ValueError: If the network has no blocks, or as in :func:`rank`.
    """
    members = [group for group in groups if group.block is not None]
    if not members:
        raise ValueError(f"prune=('{BLOCK}',) drops residual blocks of transformers, and this network has none whose "
                         "units can go at once; prune its filters, prune=('filter',), or give a network of fewer "
                         'layers as compression.student_architecture')
    scores = block_scores(importance, groups)
    place = {name: i for i, name in enumerate(scores)}
    scopes: dict[str, list[str]] = {}
    for name, scope in {group.block: group.scope for group in members}.items():
        scopes.setdefault(scope, []).append(name)
    merged = []
    for names in scopes.values():
        ranked = sorted(names, key=lambda name: -scores[name])
        merged += [((i + 0.5) / len(ranked), place[name], name) for i, name in enumerate(ranked)]
    kinds = list(dict.fromkeys(group.kind for group in groups))
    return Ranking(rank(importance, groups, kinds).order, [name for *_, name in sorted(merged)])


def keep_blocks(groups: list[UnitGroup], taken: Counter) -> dict[str, int]:
    """Kept count of every group: all units of a block that is taken, none of another one."""
    return {group.name: group.count if group.block is None or taken[group.block] else group.min_count
            for group in groups}
