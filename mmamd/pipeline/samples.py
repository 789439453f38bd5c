"""Images of a finished run, for what is calibrated or judged on them afterwards."""

from collections.abc import Iterator
from pathlib import Path

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
BATCH = 64


def samples_of(cfg: Config, work_dir: str | Path) -> Samples:
    """Training images as they are tested, and labelled test images, of a run.

    Its data sets are read when images are asked for, :func:`mmamd.pipeline.finished_run.as_its_run`; what is wrong with
    them then raises ValueError or FileNotFoundError.
    """
    seed = RunState(Path(work_dir)).content['seed']
    context = Context(cfg, Settings.from_cfg(cfg), Path(work_dir), seed, spend=lambda *_: None)
    return Samples(lambda: _calibration(context), lambda: _test(context))


def _calibration(context: Context) -> Iterator[Tensor]:
    dataset = drawn_images(context, NUM_CALIBRATION)
    return image_batches(context, dataset, context.network.data_preprocessor, BATCH, 'calibration', augmented=False)


def _test(context: Context) -> Iterator[tuple[Tensor, Tensor]]:
    dataset = context.dataset('test')
    num = min(NUM_TEST, len(dataset))
    spread = Subset(dataset, [i * len(dataset) // num for i in range(num)])
    for batch in DataLoader(spread, batch_size=BATCH, collate_fn=context.task.collate):
        data = context.task.preprocess(context.network, batch, training=False)
        yield data['inputs'], context.task.hard_targets(data['data_samples'])
