"""Table 3 of the supplement: optimizers and learning rates."""

from tables.table import Row, Table
from tables.vit import FROM_REFIT, OF_REFIT, RECIPES, REFIT, TEACHERS

RATES = {'AdamW': (3e-4, 1e-3, 3e-3, 1e-2), 'SGD': (1e-3, 1e-2, 1e-1)}
OPTIMIZERS = {'AdamW': dict(type='AdamW', weight_decay=0.05),
              'SGD': dict(type='SGD', momentum=0.9, weight_decay=5e-4)}

TABLE = Table(
    name='optimizers', title='Optimizers and learning rates', source='AMD, supplement, Table 3 and section 5.2',
    recipes=RECIPES,
    teachers=TEACHERS,
    overrides=FROM_REFIT, at={'micro': REFIT},
    rows=tuple(Row(f'{name}, {rate:g}', {'optim_wrapper.optimizer': dict(OPTIMIZERS[name], lr=rate, _delete_=True)},
                   'missing') for name, rates in RATES.items() for rate in rates),
    reference='AdamW, 0.003',
    notes=('The body of the table is missing in what we have of the paper: it says that AdamW at 3e-3 is robust, and '
           'that SGD fails at times. The rates are ours.', OF_REFIT))
