"""Structural pruning on plain data: score units, rank them, nest candidates, count their cost.

    network --importance--> Importance --ranking--> Ranking --candidates--> CandidateFamily
                                       network --complexity--> Cost of any candidate

The functions know unit groups, no architecture. Of a backbone they use ``unit_groups``, ``gates``, ``cost``,
``input_shape`` and, for filters that are scored by their weights, ``filter_layers``.
"""

from mmamd.pruning.blocks import block_scores, rank_blocks
from mmamd.pruning.candidates import check_scales, make_family, scale_grid
from mmamd.pruning.complexity import cost_function, fixed_share, network_cost, profiled_cost, rest_cost
from mmamd.pruning.filter_norms import FilterLayer, greedy_norms, independent_norms
from mmamd.pruning.importance import check_importance, score, unit_scores
from mmamd.pruning.ranking import Ranking, normalise, rank

__all__ = [
    'FilterLayer', 'Ranking', 'block_scores', 'check_importance', 'check_scales', 'cost_function', 'fixed_share',
    'greedy_norms', 'independent_norms', 'make_family', 'network_cost', 'normalise', 'profiled_cost', 'rank',
    'rank_blocks', 'rest_cost', 'scale_grid', 'score', 'unit_scores',
]
