"""The whole method over one plain KD run of the same student on the same data, in seconds and in MACs: with candidates
that are refit, and by joint training per sampler.

Put together of the steps of each stage, each measured in turn in every round, times the number of images the recipe
gives it: scoring, joint stage, selection on the held-out images, student; the refits are measured once, as they are.
Loading images, writing checkpoints and the report on the test split are left out of both. The target of 2.2 is what
the paper reports, for joint training, and is that of the default sampler.

    python benchmarks/whole_method.py [--network ViT-micro] [--joint-epochs 3 --student-epochs 8]
"""

import time
from functools import partial

import networks
import numpy as np
from side_by_side import Row, counted, parse_args, report, timed
from steps import Steps

from mmamd.distillation import SandwichSparsityHook
from mmamd.distillation.samplers import SAMPLERS
from mmamd.pipeline.config.compression import RefitSettings

NUM_TRAIN, NUM_HELD_OUT, NUM_SCORED = 45_000, 5_000, 2_048  # images of the recipes on CIFAR-100
REFIT = 'candidates refit'
ASSISTANT = 0.5  # scale of the assistant that teaches the student
TARGET = 2.2


def rows_of(name, options):
    steps = Steps(name, networks.NINE, options)
    everyone = steps.candidates
    assistant = next(candidate for candidate in everyone if candidate.scale == ASSISTANT)
    measured = {
        'score': steps.score, 'select': steps.evaluate, 'student': lambda: steps.distil(assistant),
        'kd': steps.distil,
        **{name_of(draw): lambda draw=draw: steps.joint(draw)
           for draws in draws_of(everyone).values() for _, draw in draws}}
    for function in measured.values():
        function()
    of_refit = RefitSettings()
    refits = [(everyone, of_refit.num_images_candidates), ([steps.student, assistant], of_refit.num_images)]
    seconds = sum(timed(partial(steps.refit, candidates, steps.refit_batches(num)), options.device)
                  for candidates, num in refits)
    rounds, begin = [], time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - begin < options.seconds:
        rounds.append(whole({key: timed(function, options.device) / options.batch_size
                             for key, function in measured.items()}, seconds, everyone, options))
    in_macs = whole(arithmetic(steps, assistant), sum(steps.refit_macs(candidates) * num for candidates, num in refits),
                    everyone, options)
    default = SandwichSparsityHook().sampler
    for sampler in (REFIT, *SAMPLERS):
        target = TARGET if sampler == default else None
        own, plain = (np.array([each[key] for each in rounds]) for key in (sampler, 'kd'))
        low, middle, high = np.quantile(own / plain, [0.25, 0.5, 0.75])
        joint = '' if sampler == REFIT else f'{options.joint_epochs} + '
        schedule = f'{joint}{options.student_epochs} epochs'
        yield Row(f'{name}: AMD, {sampler}, {schedule}, over KD, seconds', middle, low, high, np.median(own),
                  np.median(plain), pairs=len(rounds), target=target)
        yield counted(f'{name}: AMD, {sampler}, {schedule}, over KD, MACs', in_macs[sampler], in_macs['kd'], 'MACs',
                      target=target)


def draws_of(everyone):
    """Sampler -> probability and candidates of each of its steps; of ``progressive``, over the whole stage."""
    def evenly(draws):
        return [(1 / len(draws), draw) for draw in draws]

    smallest, *others = everyone
    *between, largest = others
    num = len(everyone)
    falling = np.array([1 / candidate.scale for candidate in everyone])
    # In the k-th of num parts of the stage one of the k largest is drawn.
    growing = [np.mean([(num - i <= k) / k for k in range(1, num + 1)]) for i in range(num)]
    alone = [[candidate] for candidate in everyone]
    return {'all': evenly([everyone]), 'sandwich': evenly([[smallest, candidate, largest] for candidate in between]),
            'smallest_random': evenly([[smallest, candidate] for candidate in others]), 'random': evenly(alone),
            'falling': list(zip(falling / falling.sum(), alone, strict=True)),
            'progressive': list(zip(growing, alone, strict=True))}


def name_of(draw):
    return ' '.join(candidate.key for candidate in draw)


def whole(an_image, refits, everyone, options):
    """Cost of the whole method with a refit, by each sampler, and of plain KD, from the costs of each step an image and
    of the refits."""
    joint = {sampler: sum(share * an_image[name_of(draw)] for share, draw in draws)
             for sampler, draws in draws_of(everyone).items()}
    rest = NUM_SCORED * an_image['score'] + NUM_HELD_OUT * an_image['select'] \
        + options.student_epochs * NUM_TRAIN * an_image['student']
    return {'kd': NUM_SCORED * an_image['score'] + options.student_epochs * NUM_TRAIN * an_image['kd'],
            REFIT: rest + refits,
            **{sampler: rest + options.joint_epochs * NUM_TRAIN * cost for sampler, cost in joint.items()}}


def arithmetic(steps, assistant):
    """MACs of each step an image."""
    everyone, teacher = steps.candidates, steps.teacher_macs
    student = steps.student.cost
    return {
        'score': 3 * teacher, 'select': 2 * teacher + sum(candidate.cost.macs for candidate in everyone),
        'student': assistant.cost.macs + 3 * student.macs, 'kd': steps.macs(student),
        **{name_of(draw): steps.macs(*(candidate.cost for candidate in draw))
           for draws in draws_of(everyone).values() for _, draw in draws}}


def add(parser):
    parser.set_defaults(names=['ViT-micro'])
    parser.add_argument('--network', nargs='+', choices=networks.NETWORKS, dest='names')
    parser.add_argument('--joint-epochs', type=int, default=3, help='of the recipe of ViT-micro by default')
    parser.add_argument('--student-epochs', type=int, default=8)


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=64, seconds=40, add=add)
    report('Whole method', [row for name in options.names for row in rows_of(name, options)], options)
