"""Table 6 of the supplement: several teachers, one after the other."""

from tables.table import Row, Table
from tables.vit import FROM_REFIT, OF_REFIT, RECIPES, REFIT, TEACHERS

TABLE = Table(
    name='table6', title='Multi-teacher distillation', source='AMD, supplement, Table 6 and section 6',
    recipes={**RECIPES, 'full': 'amd/vit-s_cifar100.py'},
    teachers=TEACHERS,
    overrides=FROM_REFIT, at={'micro': {'compression.num_candidates': 4, **REFIT}},
    rows=(Row('several teachers in progression', {'method': dict(type='mmamd.MultiTeacher')}, 'missing'),
          Row('AMD', {}, 'missing')),
    reference='AMD',
    notes=('The body of the table is missing in what we have of the paper; its text says that AMD is better.',
           OF_REFIT))
