"""Performance of several networks on one split, of candidates and their teacher all at one checkpoint."""

import copy

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, collect_results, is_main_process
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.evaluator.metric import _to_cpu
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmamd.registry import LOOPS
from mmamd.selection.collapse import Seen, collapse
from mmamd.selection.panel import Panel
from mmamd.structures import Cost, Measurement, scale_key
from mmamd.tasks import Task, task_of

REFERENCES = ('teacher', 'full')


@LOOPS.register_module()
class CandidateValLoop(BaseLoop):
    """Judge several networks, and what they are compared with, in one pass over a split.

    Each batch is loaded and preprocessed once. Hooks are called once in a pair for the whole pass, so that a hook
    that swaps weights before and after (EMA) keeps them swapped for all networks.

    Args:
        runner: Runner whose model is a :class:`Panel`.
        dataloader: Loader of the split.
        evaluator: Evaluator config; each network gets a copy of its own.
        split: ``'val'`` (held-out training images, on which the selection rests) or ``'test'`` (reported only).
        num_bootstrap: Number of bootstrap resamples of the images; 0 draws none.
        above: Scale that the choice must exceed; None for no such bound.

    Attributes:
        table: Network name -> (metrics, resampled metrics), both by metric key; filled by :meth:`run`. Names are
            ``'teacher'``, ``'full'`` where the others are slices of one network, and the others' own.
        seen: Network name -> what tells whether it has collapsed.
    """

    def __init__(self, runner: Runner, dataloader: dict, evaluator: dict | list, *, split: str = 'val',
                 num_bootstrap: int = 200, above: float | None = None) -> None:
        super().__init__(runner, dataloader)
        self.split = split
        self.num_bootstrap = num_bootstrap
        self.above = above
        self._panel: Panel = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._evaluators = {name: runner.build_evaluator(copy.deepcopy(evaluator)) for name in self._panel.networks}
        for own in self._evaluators.values():
            own.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)
        self.table: dict[str, tuple[dict[str, float], dict[str, list[float]]]] = {}
        self.seen: dict[str, Seen] = {}

    @property
    def costs(self) -> dict[str, Cost | None]:
        """Network name -> what it costs."""
        return {name: network.cost for name, network in self._panel.networks.items()}

    def run(self) -> dict[str, float]:
        """Evaluate all networks; returns ``'<network>/<metric key>'`` -> value, in the metric's own unit."""
        self.runner.call_hook(f'before_{self.split}')
        self.runner.call_hook(f'before_{self.split}_epoch')
        self._panel.eval()
        for idx, data_batch in enumerate(self.dataloader):
            self.runner.call_hook(f'before_{self.split}_iter', batch_idx=idx, data_batch=data_batch)
            self._run_iter(data_batch)
            self.runner.call_hook(f'after_{self.split}_iter', batch_idx=idx, data_batch=data_batch, outputs=None)
        size = len(self.dataloader.dataset)
        for name, evaluator in self._evaluators.items():
            task = task_of(self._panel.ready(name))
            values, resampled, seen = _evaluate(evaluator, size, self.num_bootstrap, self.runner.seed, task)
            self.table[name], self.seen[name] = (values, resampled), seen
        metrics = {f'{name}/{key}': value for name, (values, _) in self.table.items() for key, value in values.items()}
        self.runner.call_hook(f'after_{self.split}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{self.split}')
        return metrics

    @torch.no_grad()
    def _run_iter(self, data_batch: dict) -> None:
        data = self._panel.data_preprocessor(data_batch, training=False)
        for name in self._panel.networks:
            outputs = self._panel.predict(name, data)
            self._evaluators[name].process(data_samples=outputs, data_batch=data_batch)

    def measurements(self, metric: str, percent: bool) -> tuple[dict[str, Measurement], list[Measurement]]:
        """Measurements of the references by name, and of the others ascending by scale, as fractions.

        Raises:
            ValueError: If no evaluator computes ``metric``, or ``percent`` and a value disagree.
        """
        unit = 100. if percent else 1.

        def measure(name: str) -> Measurement:
            scale = self._panel.networks[name].scale
            values, resampled = self.table[name]
            if metric not in values:
                raise ValueError(f'no metric {metric!r} among {sorted(values)}; set metric= of NPSDSelectionHook to '
                                 'one of these, or let val_evaluator compute it')
            if not 0 <= values[metric] <= unit:
                raise ValueError(f'{metric} is {values[metric]}, expected 0 to {unit:g} because percent={percent}; '
                                 'set percent= of NPSDSelectionHook to the unit of the metric')
            own_name = None if name in ('teacher', scale_key(scale)) else name
            teacher, draws = (found.get(metric, []) for found in self.table['teacher'])
            return Measurement(scale, values[metric] / unit, [value / unit for value in resampled.get(metric, [])],
                               own_name, collapse(self.seen[name], metric, values[metric], teacher, draws))

        others = sorted((name for name in self.table if name not in REFERENCES),
                        key=lambda name: self._panel.networks[name].scale)
        return {name: measure(name) for name in REFERENCES if name in self.table}, [measure(name) for name in others]


def _evaluate(evaluator: Evaluator, size: int, num_bootstrap: int, seed: int,
              task: Task) -> tuple[dict[str, float], dict[str, list[float]], Seen]:
    """Metrics of all ranks' results, of their bootstrap resamples, and what else they tell; the same on every rank."""
    values: dict[str, float] = {}
    resampled: dict[str, list[float]] = {}
    seen = Seen(True, {})
    for metric in evaluator.metrics:
        results = _to_cpu(collect_results(metric.results, size, metric.collect_device))
        metric.results.clear()
        if not is_main_process():
            continue
        found = task.measure(metric, results)
        values.update(found)
        resampled.update(_bootstrap(metric, results, found, num_bootstrap, seed, task))
        seen |= Seen.of(task, metric, results)
    shared = [values, resampled, seen]
    broadcast_object_list(shared)
    return tuple(shared)


def _bootstrap(metric: BaseMetric, results: list, values: dict[str, float], num_draws: int,
               seed: int, task: Task) -> dict[str, list[float]]:
    """The metric on resampled images; the draws depend on seed and number of images alone, so networks are paired."""
    if not num_draws:
        return {}
    draws = np.random.default_rng(seed).integers(len(results), size=(num_draws, len(results)))
    # Accuracy is a mean over images, and then so is each draw. Seen, not assumed: other metrics are computed anew.
    each = [task.measure(metric, [result]) for result in results]
    per_image = {key: np.array([found[key] for found in each]) for key in values}
    if all(np.isclose(per_image[key].mean(), value, rtol=1e-5) for key, value in values.items()):
        return {key: per_image[key][draws].mean(axis=1).tolist() for key in values}
    computed = [task.measure(metric, drawn) for drawn in task.resampled(metric, results, draws)]
    return {key: [found[key] for found in computed] for key in values}
