"""Table 6 of the supplement: several teachers, one after the other."""

from tables.table import Row, Table

TABLE = Table(
    name='table6', title='Multi-teacher distillation', source='AMD, supplement, Table 6 and section 6',
    recipes={'smoke': 'amd/vit-tiny_digits.py', 'micro': 'amd/vit-micro_cifar100.py', 'full': 'amd/vit-s_cifar100.py'},
    teachers={'micro': 'data/vit-micro_cifar100.pth'},
    at={'micro': {'compression.num_candidates': 4, 'compression.refit': dict(num_reported=0)}},
    rows=(Row('several teachers in progression', {'method.type': 'mmamd.MultiTeacher'}, 'missing'),
          Row('AMD', {}, 'missing')),
    reference='AMD',
    notes=('The body of the table is missing in what we have of the paper; its text says that AMD is better.',))
