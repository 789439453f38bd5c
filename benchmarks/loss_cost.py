"""What each term of the loss costs: a training step with the term over a plain step, of task and logit terms alone.

Every registered term is added to the plain step with its defaults, those two once more. A term that prepares a
distillation is measured alone, as in the section ``pretrain``, and marked. A term that a pair of networks cannot have
is listed with what refuses it. Beside the time stand the parameters that a term owns, its buffers (a bank) over the
training images, and how much more memory a step holds at its peak, an image of the batch. Networks are untrained and
images random, which no time depends on.

    python benchmarks/loss_cost.py [--pair ViT-micro] [--terms CRDLoss ATLoss] [--batch-size 32]
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import networks
from side_by_side import Row, compare, context, parse_args, peak_bytes

from mmamd.distillation.losses import Loss, build_terms
from mmamd.registry import MODELS

# Teacher, and scale of the recipe's student.
PAIRS = {'ViT-micro': ('ViT-micro', 0.10), 'ResNet-20': ('resnet20_100-classes', 0.30)}
PLAIN = {'ce': dict(type='mmamd.TaskLoss'), 'logit': dict(type='mmamd.LogitLoss')}
TERM = 'term'
NUM_IMAGES = 50_000  # of CIFAR-100


@dataclass(frozen=True)
class TermCost:
    """What a term costs one pair of networks.

    Attributes:
        pair: Name of the pair.
        term: Name of the term's class.
        time: A step with it over a plain one; None where it is refused.
        parameters: That it owns.
        remembered: Bytes of its buffers over the number of training images.
        held: Peak memory of a step beyond that of a plain one, in bytes over the images of the batch.
        note: In which stage it was measured, where that is another one, or what refuses it.
    """

    pair: str
    term: str
    time: Row | None = None
    parameters: int = 0
    remembered: int = 0
    held: int = 0
    note: str = ''

    def __str__(self) -> str:
        if self.time is None:
            return f'| `{self.term}` | - | - | - | - | {self.note} |'
        return (f'| `{self.term}` | {self.time.ratio:.2f} [{self.time.low:.2f}, {self.time.high:.2f}] | '
                f'{self.parameters:,} | {self.remembered:,} | {self.held / 1000:+,.1f} | {self.note} |')


HEADER = ['| term | step over a plain one | parameters | bytes a training image | kB an image of the batch | |',
          '|---|---|---|---|---|---|']


def registered() -> list[str]:
    """Names of all terms of the package."""
    return sorted(name for name, cls in MODELS.module_dict.items() if isinstance(cls, type) and issubclass(cls, Loss)
                  and cls.__module__.startswith('mmamd.distillation.losses.'))


class Step:
    """A training step of the student alone with some terms."""

    def __init__(self, network, scale, losses, options):
        # The family needs a candidate above the student, which is not trained.
        self.distiller = networks.distiller(network, (scale, (1 + scale) / 2), options.device, num_candidates=1,
                                            losses=losses, num_images=options.num_images)
        self._loop = networks.joint_loop(self.distiller, options)
        self._batch = networks.raw_batch(self.distiller.network, options.batch_size, options.device)
        for i, sample in enumerate(self._batch['data_samples']):
            sample.set_metainfo(dict(sample_idx=i))

    def __call__(self):
        self._loop.step(self._batch)


def rows_of(pair, network, scale, names, options) -> Iterator[TermCost]:
    plain = Step(network, scale, PLAIN, options)
    plain()  # the optimizer makes its state
    usual = peak_bytes(plain, options.device)
    for name in names:
        yield cost_of(pair, name, network, scale, plain, usual, options)


def cost_of(pair, name, network, scale, plain, usual, options) -> TermCost:
    losses = {TERM: dict(type=f'mmamd.{name}')}
    try:
        built = build_terms(losses)[TERM]
        if built.needs_several:
            return TermCost(pair, name, note='is for several teachers, and a step here has one')
        prepares = built.pretrains
        step = Step(network, scale, losses if prepares else {**PLAIN, **losses}, options)
    except ValueError as error:
        return TermCost(pair, name, note=f'refused: {error}'.replace('|', r'\|'))
    time = compare(f'{pair}: step with {name} over a plain one', step, plain, options)
    term = step.distiller.terms[TERM]
    return TermCost(
        pair, name, time, parameters=sum(p.numel() for p in term.parameters()),
        remembered=sum(buffer.nbytes for buffer in term.buffers()) // options.num_images,
        held=(peak_bytes(step, options.device) - usual) // options.batch_size,
        note='alone, in the stage before' if prepares else '')


def add(parser):
    parser.add_argument('--pair', nargs='+', choices=PAIRS, default=list(PAIRS), dest='pairs')
    parser.add_argument('--terms', nargs='+', choices=registered(), default=registered())
    parser.add_argument('--num-images', type=int, default=NUM_IMAGES, help='training images, which banks are made for')


def main() -> None:
    options = parse_args(__doc__, batch_size=128, seconds=5, add=add)
    facts, rows = context(options), []
    for pair in options.pairs:
        network, scale = PAIRS[pair]
        print(f'\n{pair} -> {scale:.0%} of its MACs ({facts["device"]}, {options.dtype}, batch {options.batch_size}, '
              f'{facts["threads"]} threads)\n', *HEADER, sep='\n')
        for row in rows_of(pair, network, scale, options.terms, options):
            print(row, flush=True)
            rows.append(asdict(row))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({'title': 'Terms of the loss', 'context': facts, 'rows': rows},
                                           indent=1) + '\n')


if __name__ == '__main__':
    main()
