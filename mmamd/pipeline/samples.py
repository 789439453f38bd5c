"""Images of a finished run, for what is calibrated or judged on them afterwards."""

from collections.abc import Iterator
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmamd.export import Samples
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.data import drawn_images, image_batches
from mmamd.pipeline.state import RunState

NUM_CALIBRATION = 256  # training images: their extreme activations are soon found
NUM_TEST = 2000  # evenly spread: a difference of two networks on them has a standard error of half a point or less
MOST_A_BATCH = 64


def samples_of(cfg: Config, work_dir: str | Path, network: nn.Module) -> Samples:
    """Training images as they are tested, and labelled test images, of a run, preprocessed for one of its networks.

    Its data sets are read when images are asked for, :func:`mmamd.pipeline.finished_run.as_its_run`; what is wrong with
    them then raises ValueError or FileNotFoundError.
    """
    seed = RunState(Path(work_dir)).content['seed']
    context = Context(cfg, Settings.from_cfg(cfg), Path(work_dir), seed, spend=lambda *_: None)
    return Samples(lambda: _calibration(context, network), lambda: _test(context, network))


def _calibration(context: Context, network: nn.Module) -> Iterator[Tensor]:
    dataset = drawn_images(context, NUM_CALIBRATION)
    batches = image_batches(context, dataset, network.data_preprocessor, _batch_size(context), 'calibration',
                            augmented=False)
    return (_of_the_networks_size(context, images) for images in batches)


def _test(context: Context, network: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    dataset = context.dataset('test')
    num = min(NUM_TEST, len(dataset))
    spread = Subset(dataset, [i * len(dataset) // num for i in range(num)])
    for batch in DataLoader(spread, batch_size=_batch_size(context), collate_fn=context.task.collate):
        data = context.task.preprocess(network, batch, training=False)
        yield _of_the_networks_size(context, data['inputs']), context.task.hard_targets(data['data_samples'])


def _of_the_networks_size(context: Context, images: Tensor) -> Tensor:
    if tuple(images.shape[1:]) != context.input_shape:
        raise ValueError(f'images are {tuple(images.shape[1:])} (channels, height, width), and the exported network '
                         f'takes {context.input_shape}; crop or resize them in the test pipeline, or set '
                         'backbone.img_size')
    return images


def _batch_size(context: Context) -> int:
    """That of the test images: large ones may differ in size, and fill the memory by a few."""
    return min(MOST_A_BATCH, context.cfg.test_dataloader.get('batch_size', 1))
