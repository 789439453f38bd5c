"""The whole method over one plain KD run of the same student on the same data, in seconds and in MACs, per sampler.

Put together of the steps of each stage, each measured in turn in every round, times the number of images the recipe
gives it: scoring, joint stage, selection on the held-out images, student. Loading images, writing checkpoints and the
report on the test split are left out of both. The target of 2.2 is what the paper reports, and is that of the default
sampler.

    python benchmarks/whole_method.py [--network ViT-micro] [--joint-epochs 3 --student-epochs 8]
"""

import time

import networks
import numpy as np
from side_by_side import Row, counted, parse_args, report, timed
from steps import Steps

from mmamd.distillation import SandwichSparsityHook
from mmamd.distillation.samplers import SAMPLERS

NUM_TRAIN, NUM_HELD_OUT, NUM_SCORED = 45_000, 5_000, 2_048  # images of the recipes on CIFAR-100
ASSISTANT = 0.5  # scale of the assistant that teaches the student
TARGET = 2.2


def rows_of(name, options):
    steps = Steps(name, networks.NINE, options)
    everyone = steps.candidates
    assistant = next(candidate for candidate in everyone if candidate.scale == ASSISTANT)
    measured = {
        'score': steps.score, 'select': steps.evaluate, 'student': lambda: steps.distil(assistant),
        'kd': steps.distil, 'all': lambda: steps.joint(everyone),
        **{candidate.key: lambda candidate=candidate: steps.joint([candidate]) for candidate in everyone},
        **{f'smallest and {candidate.key}': lambda candidate=candidate: steps.joint([everyone[0], candidate])
           for candidate in everyone[1:]},
        **{f'sandwich {candidate.key}': lambda candidate=candidate: steps.joint([everyone[0], candidate, everyone[-1]])
           for candidate in everyone[1:-1]}}
    for function in measured.values():
        function()
    rounds, begin = [], time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - begin < options.seconds:
        rounds.append(whole({key: timed(function, options.device) / options.batch_size
                             for key, function in measured.items()}, everyone, options))
    in_macs = whole(arithmetic(steps, assistant), everyone, options)
    default = SandwichSparsityHook().sampler
    for sampler in SAMPLERS:
        target = TARGET if sampler == default else None
        own, plain = (np.array([each[key] for each in rounds]) for key in (sampler, 'kd'))
        low, middle, high = np.quantile(own / plain, [0.25, 0.5, 0.75])
        schedule = f'{options.joint_epochs} + {options.student_epochs} epochs'
        yield Row(f'{name}: AMD, {sampler}, {schedule}, over KD, seconds', middle, low, high, np.median(own),
                  np.median(plain), pairs=len(rounds), target=target)
        yield counted(f'{name}: AMD, {sampler}, {schedule}, over KD, MACs', in_macs[sampler], in_macs['kd'], 'MACs',
                      target=target)


def whole(an_image, everyone, options):
    """Cost of the whole method by each sampler, and of plain KD, from the costs of each step an image."""
    joint = {
        'all': an_image['all'],
        'sandwich': np.mean([an_image[f'sandwich {candidate.key}'] for candidate in everyone[1:-1]]),
        'smallest_random': np.mean([an_image[f'smallest and {candidate.key}'] for candidate in everyone[1:]]),
        'random': np.mean([an_image[candidate.key] for candidate in everyone])}
    rest = NUM_SCORED * an_image['score'] + NUM_HELD_OUT * an_image['select'] \
        + options.student_epochs * NUM_TRAIN * an_image['student']
    return {'kd': NUM_SCORED * an_image['score'] + options.student_epochs * NUM_TRAIN * an_image['kd'],
            **{sampler: rest + options.joint_epochs * NUM_TRAIN * cost for sampler, cost in joint.items()}}


def arithmetic(steps, assistant):
    """MACs of each step an image."""
    everyone, teacher = steps.candidates, steps.teacher_macs
    student = steps.student.cost
    return {
        'score': 3 * teacher, 'select': 2 * teacher + sum(candidate.cost.macs for candidate in everyone),
        'student': assistant.cost.macs + 3 * student.macs, 'kd': steps.macs(student),
        'all': steps.macs(*(candidate.cost for candidate in everyone)),
        **{candidate.key: steps.macs(candidate.cost) for candidate in everyone},
        **{f'smallest and {c.key}': steps.macs(student, c.cost) for c in everyone[1:]},
        **{f'sandwich {c.key}': steps.macs(student, c.cost, everyone[-1].cost) for c in everyone[1:-1]}}


def add(parser):
    parser.set_defaults(names=['ViT-micro'])
    parser.add_argument('--network', nargs='+', choices=networks.NETWORKS, dest='names')
    parser.add_argument('--joint-epochs', type=int, default=3, help='of the recipe of ViT-micro by default')
    parser.add_argument('--student-epochs', type=int, default=8)


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=64, seconds=40, add=add)
    report('Whole method', [row for name in options.names for row in rows_of(name, options)], options)
