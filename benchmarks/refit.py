"""What a refit costs: the whole family in one walk, a candidate, over an epoch of plain KD of 10,000 images.

Nine candidates on 768 images in float32, as the pipeline refits those that are judged; the epoch is so many training
steps of the student, teacher included, in the precision that is asked for. Loading images is left out of both.

    python benchmarks/refit.py [--network ViT-micro] [--dtype bfloat16]
"""

import time

import networks
import numpy as np
import torch
from side_by_side import Row, parse_args, report, timed
from steps import Steps

from mmamd.pipeline.config.compression import RefitSettings

NUM_IMAGES = RefitSettings().num_images_candidates
EPOCH = 10_000  # images of the studies
TARGET = 0.2


def rows_of(name, options):
    steps = Steps(name, networks.NINE, options)
    everyone, batches = steps.candidates, steps.refit_batches(NUM_IMAGES)

    def family():
        steps.refit(everyone, batches)

    steps.distil()
    rounds, begin = [], time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - begin < options.seconds:
        step = np.median([timed(steps.distil, options.device) for _ in range(5)])
        rounds.append((timed(family, options.device) / len(everyone), step * EPOCH / options.batch_size))
    own, epoch = np.array(rounds).T
    low, middle, high = np.quantile(own / epoch, [0.25, 0.5, 0.75])
    yield Row(f'{name}: refit of a candidate over an epoch of plain KD', middle, low, high, np.median(own),
              np.median(epoch), pairs=len(rounds), target=TARGET)


def add(parser):
    parser.set_defaults(names=['ViT-micro'])
    parser.add_argument('--network', nargs='+', choices=networks.NETWORKS, dest='names')


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=128, seconds=40, add=add)
    torch.manual_seed(0)
    report('Refit', [row for name in options.names for row in rows_of(name, options)], options)
