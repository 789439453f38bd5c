"""From a ranking to nested candidates, one for each scale.

Under ``scale_by='flops'`` or ``'params'`` a candidate keeps the longest prefix of the ranked units with which the
whole network, head and embedding included, costs at most scale x teacher; of a segmentor, the backbone alone. Under
``'units'`` it keeps that share of the units of each kind and scope, as MiniDisc does. Both ways every candidate
contains the smaller ones. With ``prune=('block',)`` the same is done with whole blocks in place of units.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter

from mmamd.pruning.blocks import BLOCK, keep_blocks, rank_blocks
from mmamd.pruning.ranking import rank
from mmamd.structures import Candidate, CandidateFamily, Cost, Importance, UnitGroup, scale_key

SCALE_BY = ('flops', 'params', 'units')
MEASURES = {'flops': 'macs', 'params': 'params'}  # field of Cost that a budget is in
NOTHING = Cost(0, 0)
ROUNDED_KINDS = ('neuron', 'filter')  # widths of matrices that hardware likes in multiples; a head is a whole matrix


def scale_grid(num_candidates: int, student_scale: float) -> list[float]:
    """Scales of the student and of the assistant candidates, ascending.

    The candidates are the points i / (m + 1), i = 1..m, that lie above the student; m = 9 is the grid of 10 %
    (AMD, supplement section 5.3). A point equal to the student is the student.

    Args:
        num_candidates: m, the number of grid points.
        student_scale: Scale of the student, in (0, 1).

    Raises:
        ValueError: If m is not an integer of at least 1, the student's scale is outside (0, 1), or no point lies
            above it.
    """
    if not isinstance(num_candidates, int) or isinstance(num_candidates, bool) or num_candidates < 1:
        raise ValueError(f'num_candidates must be an integer of at least 1, got {num_candidates!r}')
    if not _is_scale(student_scale):
        raise ValueError(f'student scale must lie in (0, 1), got {student_scale!r}: it is the fraction of the teacher '
                         'that the student keeps, e.g. 0.10')
    points = [i / (num_candidates + 1) for i in range(1, num_candidates + 1)]
    above = [p for p in points if p > student_scale and scale_key(p) != scale_key(student_scale)]
    if not above:
        raise ValueError(f'no candidate above the student: the largest of {num_candidates} grid points is '
                         f'{points[-1]:.6g}, the student scale is {student_scale}; raise num_candidates or lower the '
                         'student scale')
    return [student_scale, *above]


def check_scales(scales: Sequence[float]) -> None:
    """Check explicit scales: the student's first, then at least one candidate, ascending, all in (0, 1).

    Raises:
        ValueError: That names the offending value.
    """
    outside = [s for s in scales if not _is_scale(s)]
    if outside:
        raise ValueError(f'every scale must lie in (0, 1), got {outside[0]!r} in {list(scales)}; the teacher, scale 1, '
                         'is not a candidate')
    for smaller, larger in zip(scales, scales[1:], strict=False):
        if scale_key(smaller) == scale_key(larger):
            raise ValueError(f'scales must be distinct, got {larger} twice in {list(scales)}; remove one')
        if smaller > larger:
            raise ValueError(f'scales must ascend from the student, got {larger} after {smaller} in {list(scales)}; '
                             'sort them')
    if len(scales) < 2:
        raise ValueError(f'no candidate above the student: got the scales {list(scales)}; expected the student and at '
                         'least one larger scale')


def make_family(groups: list[UnitGroup], importance: Importance, cost_of: Callable[[dict[str, int]], Cost],
                scales: Sequence[float], *, scale_by: str = 'flops', prune: Sequence[str] = ('head', 'neuron'),
                round_to: int = 1, unscaled: Cost = NOTHING) -> CandidateFamily:
    """Nested candidates of one teacher.

    Args:
        groups: Unit groups of the network, in network order.
        importance: Raw scores of every group.
        cost_of: Cost of the *whole* network when group ``name`` keeps ``kept[name]`` units. Must not fall when a
            count rises.
        scales: Ascending, the student's first; see :func:`scale_grid`.
        scale_by: What a scale is a fraction of: the teacher's ``'flops'`` (MACs), ``'params'`` or ``'units'``.
        prune: Kinds of units that may be removed; groups of other kinds keep all. ``('block',)`` removes whole blocks.
        round_to: Kept neurons and filters of a layer are a multiple of it, rounded down; heads, and the neurons of
            blocks that stay whole, are not rounded.
        unscaled: What of the teacher's cost the scales are no fraction of: that of a segmentor's heads, where they are
            of its backbone.

    Raises:
        ValueError: If an argument is invalid; if a scale lies below the network's fixed part, leaves no unit at all,
            or gives the same network as another scale or the teacher.
    """
    check_scales(scales)
    if scale_by not in SCALE_BY:
        raise ValueError(f'scale_by must be one of {SCALE_BY}, got {scale_by!r}')
    if not isinstance(round_to, int) or isinstance(round_to, bool) or round_to < 1:
        raise ValueError(f'round_to must be an integer of at least 1, got {round_to!r}; 1 does not round')
    if prune in ((BLOCK,), [BLOCK]):
        ranking, cut = rank_blocks(importance, groups), partial(keep_blocks, groups)
        kinds = list(dict.fromkeys(group.kind for group in groups if group.block is not None))
    else:
        ranking, cut, kinds = rank(importance, groups, prune), partial(_kept, groups, prune, round_to), prune
    full = {group.name: group.count for group in groups}
    teacher_cost = cost_of(full)

    candidates = []
    for scale in scales:
        if scale_by == 'units':
            kept = cut(_share(groups, ranking.sequence, scale))
        else:
            kept = _longest_prefix(ranking.sequence, cut, lambda kept: cost_of(kept) - unscaled, scale,
                                   teacher_cost - unscaled, scale_by)
        if not any(kept.values()):
            raise ValueError(f'scale {scale} leaves {" and ".join(f"no {kind}" for kind in prune)} at all with '
                             f'scale_by={scale_by!r} and round_to={round_to}; use a larger scale')
        candidates.append(Candidate(scale, kept, cost_of(kept), _share_kept(groups, kinds, kept)))
    _check_distinct([(f'{c.scale}', c.kept) for c in candidates] + [('1 (the teacher)', full)])
    return CandidateFamily(candidates, teacher_cost, ranking.order, scale_by, unscaled)


def _longest_prefix(sequence: list[str], cut: Callable[[Counter], dict[str, int]],
                    cost_of: Callable[[dict[str, int]], Cost], scale: float, teacher_cost: Cost,
                    scale_by: str) -> dict[str, int]:
    """Kept counts of the longest prefix of the sequence whose cost is at most scale x teacher cost."""
    measure = attrgetter(MEASURES[scale_by])
    teacher = measure(teacher_cost)

    def cost_by(length: int) -> int:
        return measure(cost_of(cut(Counter(sequence[:length]))))

    fixed = cost_by(0)
    if fixed > scale * teacher:
        raise ValueError(f"scale {scale} lies below the network's fixed part: what pruning never removes has {fixed} "
                         f'of {teacher} {MEASURES[scale_by]}, a share of {fixed / teacher:.4f}; use a scale above that')
    # Cost does not fall with the length, so the lengths within budget are the first ones; length 0 is one of them.
    length = bisect_right(range(len(sequence) + 1), scale * teacher, key=cost_by) - 1
    return cut(Counter(sequence[:length]))


def _share(groups: list[UnitGroup], sequence: list[str], scale: float) -> Counter:
    """Units taken of each group when each kind and scope of U units loses round((1 - scale) * U) (MiniDisc).

    In a sequence of blocks a block is taken once, and a scope's U are its blocks.
    """
    pool_of = {group.name: (group.kind, group.scope) for group in groups} | {
        group.block: (BLOCK, group.scope) for group in groups}
    size = Counter(pool_of[name] for name in sequence)
    left = {pool: count - round((1 - scale) * count) for pool, count in size.items()}
    taken: Counter = Counter()
    for name in sequence:
        if left[pool_of[name]]:
            left[pool_of[name]] -= 1
            taken[name] += 1
    return taken


def _kept(groups: list[UnitGroup], prune: Sequence[str], round_to: int, taken: Counter) -> dict[str, int]:
    """Kept count of every group: all where the kind is not pruned; else what was taken, rounded down, or must stay."""
    kept = {}
    for group in groups:
        step = round_to if group.kind in ROUNDED_KINDS else 1
        count = taken[group.name] // step * step if group.kind in prune else group.count
        kept[group.name] = max(count, group.min_count)
    return kept


def _share_kept(groups: list[UnitGroup], prune: Sequence[str], kept: dict[str, int]) -> float:
    """Mean over the pruned kinds of units kept / units of the kind."""
    total, left = Counter(), Counter()
    for group in groups:
        total[group.kind] += group.count
        left[group.kind] += kept[group.name]
    return sum(left[kind] / total[kind] for kind in prune) / len(prune)


def _check_distinct(networks: list[tuple[str, dict[str, int]]]) -> None:
    for (scale, kept), (next_scale, next_kept) in zip(networks, networks[1:], strict=False):
        if kept == next_kept:
            raise ValueError(f'scales {scale} and {next_scale} keep the same units; the network is too small to tell '
                             'them apart: use fewer candidates, a smaller round_to or a larger network')


def _is_scale(scale: object) -> bool:
    # NaN compares false. By its key, since within half a millionth of 0 or 1 it would have another network's name.
    return isinstance(scale, (int, float)) and 0 < scale < 1 and 0 < float(scale_key(scale)) < 1
