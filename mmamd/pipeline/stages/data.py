"""Images that stages draw from the training split."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn as nn
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset, Subset

from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Loader, pipeline_of, with_test_pipeline
from mmamd.pipeline.seeding import seed_all, seed_worker
from mmamd.seeds import derive_seed


def check_places(dataset: Dataset, seed: int) -> None:
    """Raise ValueError unless images know their places in the training set; the first and the last are asked.

    The last one tells of several data sets in one, each of which numbers its own images.
    """
    views = DATASETS.build(dict(type='mmamd.RepeatedViews', dataset=dataset, seed=seed))
    for index in (0, len(views) - 1):
        views[index]


def drawn_images(context: Context, num_images: int, *, augmented: bool = False) -> Subset:
    """Training images, read through the test pipeline, or augmented as in training."""
    if augmented:
        dataset = context.dataset('train')
    else:
        dataset = DATASETS.build(with_test_pipeline(context.cfg.train_dataloader.dataset,
                                                    context.cfg.test_dataloader.dataset))
        dataset.full_init()
    return _drawn(dataset, num_images, context.seed)


def _drawn(dataset: Dataset, num_images: int, seed: int) -> Subset:
    """Some of its images; data sets are often sorted by class, so they are drawn, not taken from the front."""
    return Subset(dataset, np.random.default_rng(seed).permutation(len(dataset))[:num_images].tolist())


def drawn_batches(context: Context, num_images: int) -> DataLoader:
    """Loader of training images, read through the test pipeline; each process has batches of its own."""
    return Runner.build_dataloader(
        dict(dataset=drawn_images(context, num_images), batch_size=context.settings.compression.importance.batch_size,
             num_workers=context.cfg.train_dataloader.get('num_workers', 0), collate_fn=context.task.collate,
             sampler=dict(type='DefaultSampler', shuffle=False, round_up=False)), seed=context.seed)


def recalibration_settings(context: Context, loader: Loader) -> dict | None:
    """How a training stage finds batch norm statistics, with its images' pipeline; None without batch norm."""
    if not context.num_recalibration:
        return None
    settings = context.settings.compression.recalibration
    return dict(num_images=settings.num_used(context.training_images(loader).num), batch_size=settings.batch_size,
                pipeline=pipeline_of(loader.settings), num_workers=context.cfg.train_dataloader.get('num_workers', 0))


def recalibration_batches(context: Context, loader: Loader, settings: dict,
                          preprocessor: nn.Module) -> Callable[[], Iterator[torch.Tensor]]:
    """Function that gives images as a training stage's steps see them, the same on every rank and in every call."""
    # Listed once for all candidates.
    dataset = _drawn(context.training_dataset(loader), settings['num_images'], context.seed)
    return lambda: image_batches(context, dataset, preprocessor, settings['batch_size'], 'recalibration',
                                 augmented=True)


def image_batches(context: Context, dataset: Dataset, preprocessor: nn.Module, batch_size: int, purpose: str, *,
                  augmented: bool) -> Iterator[torch.Tensor]:
    """Preprocessed images in their order, the same on every rank and in every call.

    Args:
        context: The run.
        dataset: What :func:`drawn_images` gives.
        preprocessor: Of the network that is to see them.
        batch_size: Images a batch.
        purpose: From which, and the run's seed, augmentation is drawn.
        augmented: Whether they are prepared as for a training step, mixed where that mixes.
    """
    seed = derive_seed(context.seed, purpose)
    seed_all(seed)  # what is drawn in this process: all augmentation without workers, mixup with them
    loader = DataLoader(dataset, collate_fn=context.task.collate, worker_init_fn=seed_worker, batch_size=batch_size,
                        num_workers=context.cfg.train_dataloader.get('num_workers', 0),
                        generator=torch.Generator().manual_seed(seed))
    for batch in loader:
        yield preprocessor(batch, training=augmented)['inputs']
