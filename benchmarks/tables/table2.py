"""Table 2 of the supplement: the manual search, with and without the choice by NPSD, beside AMD."""

from tables.table import Row, Table
from tables.vit import FROM_REFIT, JOINT_FROM_REFIT, OF_JOINT, OF_REFIT, PUBLISHED_RULE, RECIPES, REFIT, TEACHERS

TABLE = Table(
    name='table2', title='Choice without a student of every assistant', source='AMD, supplement, Table 2 and section 3',
    recipes={**RECIPES, 'full': 'amd/vit-b_cifar10.py'},
    teachers=TEACHERS,
    at={'micro': {'compression.num_candidates': 4, **REFIT}},
    rows=(
        Row('MMD', {'method.type': 'mmamd.MMD'}, 'missing', '20x'),
        Row('MMD-OS', {'method.type': 'mmamd.MMDOS', **PUBLISHED_RULE}, 95.53, '10x'),
        Row('joint training, manual choice', {'method.type': 'mmamd.JointManual'}, 'missing', '10x'),
        Row('AMD', JOINT_FROM_REFIT, 95.52, '2.2x'),
        Row('AMD, candidates refit', FROM_REFIT)),
    reference='AMD',
    notes=('The body of the table is missing in what we have of the paper; the figures are those of its text, for '
           'CIFAR-10.', *OF_JOINT, OF_REFIT))
