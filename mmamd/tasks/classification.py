"""Classification by MMPretrain: one class an image, soft labels where images are mixed.

Shapes: N samples.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import default_collate
from torch import Tensor

from mmamd.tasks.task import Task, register_task


@register_task
class Classification(Task):
    """See :class:`Task`."""

    scope = 'mmpretrain'
    metric = 'accuracy/top1'
    is_percent = True
    classes_key = 'head.num_classes'
    expected_data = ('images under data_root/data_prefix, listed one a line as "<class>/<file> <label>" in '
                     'data_root/ann_file, or one folder a class where there is no ann_file')

    @staticmethod
    def is_of(network: nn.Module) -> bool:
        from mmpretrain.models.classifiers import BaseClassifier
        return isinstance(network, BaseClassifier)

    def logits_from(self, network: nn.Module) -> str:
        return 'head'

    def collate(self, samples: list[dict]) -> dict:
        return default_collate(samples)

    def preprocess(self, network: nn.Module, batch: dict, training: bool) -> dict:
        data = network.data_preprocessor(batch, training=training)
        # A preprocessor with mixup writes labels as integer one-hots and makes them floats only where it mixes.
        for sample in data['data_samples']:
            if 'gt_score' in sample:
                sample.set_gt_score(sample.gt_score.float())
        return data

    def example(self, network: nn.Module) -> Any:
        from mmpretrain.structures import DataSample
        return DataSample().set_gt_label(0).to(next(network.parameters()).device)

    def num_classes(self, network: nn.Module) -> int | None:
        return getattr(getattr(network, 'head', None), 'num_classes', None)

    def check(self, info: dict, num_classes: int) -> str | None:
        label = info.get('gt_label')
        expected = f'the head has {num_classes} classes (0 to {num_classes - 1})'
        labels = np.atleast_1d(label) if label is not None else np.array(['none'])
        if labels.size and labels.dtype.kind not in 'iu':
            return f'has label {label!r} of {_name_of(info)}; expected an integer, {expected}: mend ann_file'
        if labels.size and labels.min() < 0:
            return f'has label {labels.min()} of {_name_of(info)} but {expected}: mend ann_file, which counts from 0'
        if labels.size and labels.max() >= num_classes:
            return f'has label {labels.max()} but {expected}; set model.architecture.{self.classes_key}'
        return None

    def classes_in(self, info: dict) -> set[int]:
        return set(np.atleast_1d(info['gt_label']).tolist())

    def identity(self, info: dict) -> bytes:
        found = f"{Path(info.get('img_path') or '').name} {info.get('gt_label')}\n".encode()
        return found + info['img'].tobytes() if isinstance(info.get('img'), np.ndarray) else found

    def hard_targets(self, samples: list) -> Tensor:
        """One class index a sample, int64, shape (N,).

        A soft label (``gt_score``, what mixup, cutmix and label smoothing leave) is read as the class of its largest
        share, the argmax; of equal shares the smallest class index counts. Without a soft label ``gt_label`` is read.

        Args:
            samples: MMPretrain ``DataSample``, one a sample.

        Raises:
            ValueError: A sample has neither field, or not exactly one label.
        """
        return torch.stack([_hard_target(index, sample) for index, sample in enumerate(samples)])

    def classified(self, logits: Tensor, samples: list) -> tuple[Tensor, Tensor] | None:
        labels = [sample.get('gt_label') for sample in samples]
        if logits.dim() != 2 or any(label is None or label.numel() != 1 for label in labels):
            return None
        return logits.argmax(1), torch.cat(labels).to(logits.device)

    def measure(self, metric: Any, results: list) -> dict[str, float]:
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        # Per-class lists and the like are no measure to choose by.
        return {prefix + key: float(value) for key, value in metric.compute_metrics(results).items()
                if np.ndim(value) == 0}

    def is_finite(self, results: list) -> bool:
        return all(torch.isfinite(result['pred_score']).all() for result in results
                   if isinstance(result, dict) and isinstance(result.get('pred_score'), Tensor))

    def unseeing(self, results: list) -> list | None:
        """Each class's score is its share of these images, so the most frequent one is named for every image."""
        if not all(isinstance(result, dict) and isinstance(result.get('pred_score'), Tensor)
                   and torch.as_tensor(result.get('gt_label', [])).numel() == 1 for result in results):
            return None
        labels = torch.tensor([int(result['gt_label']) for result in results])
        shares = torch.bincount(labels, minlength=len(results[0]['pred_score'])) / len(labels)
        return [{**result, 'pred_score': shares} for result in results]

    def rest(self, network: nn.Module, features: tuple) -> Tensor:
        return network.head(network.neck(features) if network.with_neck else features)

    def classifiers(self, network: nn.Module) -> dict[str, nn.Linear]:
        # A head of several classifiers, as DeiT's, averages their logits.
        return {name: module for name, module in network.head.named_modules()
                if type(module) is nn.Linear and module.out_features == network.head.num_classes}

    def classes_of(self, dataset: Any) -> list[int]:
        try:
            return [dataset.get_cat_ids(i)[0] for i in range(len(dataset))]
        except (NotImplementedError, KeyError, IndexError):
            return [0] * len(dataset)

    def class_names(self, dataset: Any) -> list[str] | None:
        """The data set's own names, or those of the folders that hold one class each."""
        classes = dataset.metainfo.get('classes')
        if classes:
            return list(classes)
        folders: dict[int, set[str]] = {}
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            if 'img_path' not in info:
                return None
            folders.setdefault(int(info['gt_label']), set()).add(Path(info['img_path']).parent.name)
        names = [folders[label].pop() for label in sorted(folders) if len(folders[label]) == 1]
        numbered = sorted(folders) == list(range(len(folders)))
        return names if numbered and len(set(names)) == len(folders) else None

    def why_not_shown(self, items: list[dict], predicted: Any) -> str | None:
        if 'pred_score' not in predicted or 'pred_label' not in predicted:
            return (f'predictions are {type(predicted).__name__} with {sorted(predicted.all_keys())}, and no class '
                    'scores')
        if len(predicted.pred_label) != 1 or any(len(item['data_samples'].get('gt_label', [])) != 1 for item in items):
            return 'the test images do not have exactly one class each'
        return None

    def label_of(self, item: dict) -> int:
        return int(item['data_samples'].gt_label)

    def prediction_of(self, predicted: Any) -> tuple[int, float]:
        label = int(predicted.pred_label)
        return label, float(predicted.pred_score[label])

    def rebuild(self, config: str | Path | Config, weights: str | Path, device: str = 'cpu') -> nn.Module:
        from mmpretrain import get_model
        model = get_model(config if isinstance(config, Config) else str(config), pretrained=str(weights),
                          device=device)
        return model.eval()


def _name_of(info: dict) -> str:
    return str(info.get('img_path') or f'image {info.get("sample_idx")}')


def _hard_target(index: int, sample: Any) -> Tensor:
    score, label = sample.get('gt_score', None), sample.get('gt_label', None)
    if score is not None:
        return score.argmax()
    if label is None or label.numel() != 1:
        raise ValueError(f'expected one class a sample, in gt_score or gt_label; sample {index} has gt_label={label}. '
                         'For multi-label tasks use LogitLoss')
    return label.reshape(()).long()
