"""Table 5 of the supplement: how many candidates the assistant is chosen among."""

from tables.table import Row, Table
from tables.vit import FROM_REFIT, OF_REFIT, RECIPES, REFIT, TEACHERS

PAPER = {1: (78.39, '2x'), 3: (79.46, '2x'), 6: (79.84, '2.1x'), 9: (80.19, '2.2x'), 15: (80.22, '2.6x')}

TABLE = Table(
    name='table5', title='Number of candidates', source='AMD, supplement, Table 5',
    recipes=RECIPES,
    teachers=TEACHERS,
    overrides=FROM_REFIT, at={'micro': REFIT},
    rows=(*(Row(f'm = {m}', {'compression.num_candidates': m}, top, cost, x=m) for m, (top, cost) in PAPER.items()),
          Row('MMD', {'method': dict(type='mmamd.MMD'), 'compression.num_candidates': 9}, 80.11, '20x')),
    reference='m = 9', axis='candidates m',
    notes=('The teacher of this table has 89.33 %, where Table 1 prints 98.01 % for the same network and data.',
           OF_REFIT))
