"""Some held-out images on which a stage judges its networks for the record; nothing is chosen by them."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine.evaluator import Evaluator
from torch.utils.data import DataLoader, Subset

from mmamd.pipeline.context import Context
from mmamd.pipeline.images.splits import check_metric
from mmamd.pipeline.inputs import Images, Loader
from mmamd.pipeline.plain import plain


@dataclass(frozen=True)
class HeldOut:
    """Images of the split val, drawn by the run's seed, and what is measured on them.

    Attributes:
        num: How many images.
        images: Of the whole split.
        loader, evaluator: Of the split.
        metric: Key of what is measured.
        unit: What its values are divided by to be fractions.
    """

    num: int
    images: Images
    loader: Loader
    evaluator: Any
    metric: str
    unit: float

    @classmethod
    def of(cls, context: Context, num: int) -> 'HeldOut | None':
        """At most so many images of a run; None for 0."""
        if not num:
            return None
        images = context.images('val')
        loader = Loader({'dataset': plain(context.cfg.val_dataloader.dataset)})
        return cls(min(num, images.num), images, loader, plain(context.cfg.val_evaluator), context.metric,
                   context.unit)

    def identity(self) -> dict:
        return dict(vars(self))

    def check(self, context: Context) -> None:
        """Raise ValueError if the evaluator does not compute the metric."""
        check_metric(context.cfg, 'val', context.dataset('val'), context.network, context.task, self.metric)

    def batches(self, context: Context, network: nn.Module, seed: int) -> Iterator[tuple[dict, dict]]:
        """Each batch as it is read, and preprocessed for the networks; the same in every call."""
        dataset, loader = context.dataset('val'), context.cfg.val_dataloader
        drawn = np.random.default_rng(seed).permutation(len(dataset))[:self.num].tolist()
        for batch in DataLoader(
                Subset(dataset, drawn), batch_size=loader.batch_size, num_workers=loader.get('num_workers', 0),
                collate_fn=context.task.collate, generator=torch.Generator()):  # its own: others draw what they would
            yield batch, context.task.preprocess(network, batch, training=False)

    @torch.no_grad()
    def judge(self, context: Context, networks: dict[str, nn.Module], seed: int) -> dict[str, float]:
        """Name -> performance as a fraction, of networks in eval mode whose preprocessors are alike.

        Nothing is printed, and no rank waits for it.
        """
        evaluators = {name: self._build_evaluator(context.dataset('val')) for name in networks}
        for batch, data in self.batches(context, next(iter(networks.values())), seed):
            for name, network in networks.items():
                evaluators[name].process(data_samples=network(**data, mode='predict'), data_batch=batch)
        return {name: self._value(evaluator, context) for name, evaluator in evaluators.items()}

    def _build_evaluator(self, dataset) -> Evaluator:
        metrics = self.evaluator if isinstance(self.evaluator, list) else [self.evaluator]
        evaluator = Evaluator(copy.deepcopy(metrics))
        evaluator.dataset_meta = getattr(dataset, 'metainfo', None)
        return evaluator

    def _value(self, evaluator: Evaluator, context: Context) -> float:
        found: dict[str, float] = {}
        for metric in evaluator.metrics:
            found |= context.task.measure(metric, metric.results)
        return found[self.metric] / self.unit
