"""What each part of ScaleKD costs: a training step with it over one with plain feature distillation, FD.

FD is a linear projector of the last state alone. The parts are those of ScaleKD's Table 15b. Networks are untrained and
images random, which no time depends on.

    python benchmarks/scalekd_cost.py [--pair ViT-micro] [--batch-size 32]
"""

from loss_cost import PAIRS, PLAIN, Step
from side_by_side import compare, parse_args, report

NONE = dict(kd=False, dfm=False, tpp=False)
FD = dict(NONE, projector='linear')
PARTS = {'CAP': NONE, 'CAP, DFM': dict(NONE, dfm=True), 'CAP, TPP': dict(NONE, tpp=True),
         'CAP, DFM, TPP': dict(kd=False), 'CAP, DFM, TPP, KD': {}}


def step_of(pair, parts, options):
    """A step of a pair's student with the task's loss and logits, and some parts."""
    losses = {**PLAIN, 'scalekd': dict(type='mmamd.ScaleKDLoss', **parts)}
    if parts.get('kd', True):
        del losses['logit']  # the term has them
    return Step(*PAIRS[pair], losses, options)


def rows_of(pair, options):
    """One row a part."""
    plain = step_of(pair, FD, options)
    for name, parts in PARTS.items():
        yield compare(f'{pair}: step with {name} over FD', step_of(pair, parts, options), plain, options)


def add(parser):
    parser.add_argument('--pair', nargs='+', choices=PAIRS, default=list(PAIRS), dest='pairs')
    parser.add_argument('--num-images', type=int, default=1, help='training images; no part remembers any')


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=128, seconds=5, add=add)
    report('Parts of ScaleKD', [row for pair in options.pairs for row in rows_of(pair, options)], options)
