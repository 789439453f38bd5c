"""How costs grow: with the number of candidates m, with depth and width; what selection and data loading take.

Joint steps are of the sampler 'all', over a plain KD step of the same network; a network of other depth or width has
its own KD step. Selection is an evaluation of all candidates over a joint step, an image each. Loading is what one
worker needs to read and augment an image of CIFAR-100's size as PNG, over a joint step, an image each.

    python benchmarks/scaling.py [--device cuda --dtype bfloat16 --batch-size 256]
"""

import tempfile
from pathlib import Path

import networks
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from side_by_side import compare, parse_args, report
from steps import Steps

NUMS_CANDIDATES = (1, 3, 6, 9, 15)
DEPTHS = (4, 8, 16)
WIDTHS = (64, 128, 256)
RECIPE_DATA = networks.MODEL_CONFIGS.parent / 'datasets' / 'cifar100_32.py'


def of_shape(depth, width):
    """ViT-micro of another depth or width; heads of 16."""
    config = networks.architecture('ViT-micro')
    config['backbone']['arch'] = dict(embed_dims=width, num_layers=depth, num_heads=width // 16,
                                      feedforward_channels=4 * width)
    config['head']['in_channels'] = width
    return config


def rows(options):
    for num in NUMS_CANDIDATES:
        grid = [i / (num + 1) for i in range(1, num + 1)]
        steps = Steps('ViT-micro', [0.1, *(scale for scale in grid if scale > 0.1 + 1e-9)], options)
        yield compare(f'm = {num}: joint step of all over a KD step', lambda s=steps: s.joint(s.candidates),
                      steps.distil, options)
    for what, shapes in (('depth', [(depth, 128) for depth in DEPTHS]), ('width', [(8, width) for width in WIDTHS])):
        for depth, width in shapes:
            steps = Steps(of_shape(depth, width), networks.NINE, options)
            yield compare(f'{what} {depth if what == "depth" else width}: joint step of nine over a KD step',
                          lambda s=steps: s.joint(s.candidates), steps.distil, options)
    steps = Steps('ViT-micro', networks.NINE, options)
    yield compare('selection over a joint step of nine, an image each', steps.evaluate,
                  lambda: steps.joint(steps.candidates), options)
    with tempfile.TemporaryDirectory() as folder:
        dataset = png_images(Path(folder))
        yield compare('selection over a joint step of one, an image each', steps.evaluate,
                      lambda: steps.joint([steps.candidates[4]]), options)
        yield compare('loading with one worker over a joint step of one (0.5)',
                      lambda: [dataset[i] for i in range(options.batch_size)],
                      lambda: steps.joint([steps.candidates[4]]), options)


def png_images(folder):
    """Images of random pixels as files, read by the pipeline of the recipes."""
    init_default_scope('mmpretrain')
    (folder / 'a').mkdir()
    pixels = np.random.default_rng(0)
    for i in range(256):
        Image.fromarray(pixels.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(folder / 'a' / f'{i}.png')
    pipeline = Config.fromfile(RECIPE_DATA).train_pipeline
    return DATASETS.build(dict(type='mmpretrain.CustomDataset', data_root=str(folder), pipeline=pipeline))


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=32, seconds=3)
    report('Scaling', list(rows(options)), options)
