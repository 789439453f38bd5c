"""The splits of a run: built, checked against the network, and known by their images."""

import copy
import hashlib
import logging

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS

from mmamd.notices import notice
from mmamd.pipeline.images.overlap import image_key, join_keys
from mmamd.pipeline.inputs import Images, leaf_datasets
from mmamd.pipeline.plain import plain
from mmamd.tasks import Task

MOST_NAMED = 5  # classes without images


def build_dataset(config: dict | None, split: str, network: nn.Module, task: Task) -> BaseDataset:
    """Build a split's data set, read its first sample, and compare its classes with the network's.

    Raises:
        ValueError, FileNotFoundError: If it cannot be read, is empty, or has other classes.
    """
    if config is None:
        raise ValueError(f'the config has no {split}_dataloader; expected training images (train), held-out training '
                         'images (val) and test images (test)')
    leaf = next(leaf_datasets(config))
    where = f"{split} data set {leaf['type']} (data_root={leaf.get('data_root')!r}, " \
            f"data_prefix={leaf.get('data_prefix')!r}, ann_file={leaf.get('ann_file')!r})"
    try:
        dataset = DATASETS.build(copy.deepcopy(config))
        dataset.full_init()
        empty = len(dataset) == 0 or dataset[0] is None
    # ValueError: the host's for an empty annotation file; AssertionError and RuntimeError: its data sets' own checks.
    except (OSError, RuntimeError, AssertionError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else FileNotFoundError
        raise kind(
            f'cannot read the {where}: {error}. Expected {task.expected_data}; set data_root, e.g. --cfg-options '
            'data_root=/path/to/data') from error
    except (TypeError, KeyError, AttributeError, IndexError) as error:  # of a constructor that got another option
        raise ValueError(f'the {where} cannot be built: {error}; correct the options of {split}_dataloader.dataset, '
                         f'which are {plain(config)!r}') from error
    if empty:
        raise ValueError(f'the {where} is empty; expected images, check data_prefix and ann_file')
    _check_classes(dataset, where, task.num_classes(network), task)
    return dataset


def _check_classes(dataset: BaseDataset, where: str, outputs: int | None, task: Task) -> None:
    if outputs is None:
        return
    classes = dataset.metainfo.get('classes')
    if classes is not None and len(classes) != outputs:
        raise ValueError(f'the {where} has {len(classes)} classes but the head has {outputs}; set '
                         f'model.architecture.{task.classes_key} to that of the data')
    seen: set[int] = set()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        wrong = task.check(info, outputs)
        if wrong:
            raise ValueError(f'the {where} {wrong}')
        found = task.classes_in(info)
        seen = seen if found is None else seen | found
    missing = [classes[i] if classes else i for i in range(outputs) if i not in seen]
    if seen and missing:
        more = f' and {len(missing) - MOST_NAMED} more' if len(missing) > MOST_NAMED else ''
        notice(f'the {where} has no image of {len(missing)} of {outputs} classes, of which nothing can be learnt or '
               f'said: {", ".join(map(str, missing[:MOST_NAMED]))}{more}'
               f'{task.about_missing([i for i in range(outputs) if i not in seen])}', logging.WARNING)


def images_of(dataset: BaseDataset, split: str, task: Task) -> Images:
    """What a split's images are known by."""
    sha, keys = hashlib.sha256(), []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        sha.update(task.identity(info))
        keys.append(image_key(info))
    return Images(split, len(dataset), sha.hexdigest()[:16], join_keys(keys, dataset.get_data_info(0)))


@torch.no_grad()
def check_metric(cfg: Config, split: str, dataset: BaseDataset, network: nn.Module, task: Task, metric: str) -> None:
    """Run two images of a split through a network and the split's evaluator, and look for a metric.

    Raises:
        ValueError: If the evaluator does not compute it; it names those that it does.
    """
    evaluator = cfg[f'{split}_evaluator']
    evaluator = Evaluator(copy.deepcopy(evaluator if isinstance(evaluator, list) else [evaluator]))
    evaluator.dataset_meta = getattr(dataset, 'metainfo', None)
    size = min(2, len(dataset))
    for i in range(size):  # one at a time: two images may differ in size
        batch = task.collate([dataset[i]])
        data = task.preprocess(network, batch, training=False)
        evaluator.process(data_samples=network(**data, mode='predict'), data_batch=batch)
    keys = sorted(set().union(*(task.measure(each, each.results) for each in evaluator.metrics)))
    if metric not in keys:
        raise ValueError(f'networks are reported by the metric {metric!r}, but {split}_evaluator computes {keys}; set '
                         'metric= of an NPSDSelectionHook in custom_hooks to one of these, or add an evaluator')


def check_image_size(dataset: BaseDataset, network: nn.Module, task: Task) -> None:
    """Budgets, costs and ONNX speak of images of the backbone's input_shape: raise ValueError for another.

    Of a task whose networks run at any size, the channels alone are compared.
    """
    images = task.preprocess(network, task.collate([dataset[0]]), training=False)['inputs']
    got, expected = tuple(images.shape[1:]), tuple(network.backbone.input_shape)
    if got[:1] != expected[:1] or got != expected and not task.any_size:
        raise ValueError(f'the test images have shape {got} (channels, height, width), but the backbone counts its '
                         f'costs for {expected}; resize the images in the pipelines of the data sets '
                         f"(dict(type='Resize', scale={expected[:0:-1]})), or, if the teacher was trained on them, "
                         f'set model.architecture.backbone.img_size={got[1:]}')


def check_batch_size(loader: dict, where: str) -> None:
    """Raise ValueError unless a loader's batches have a number of images."""
    size = loader.get('batch_size')
    if 'batch_sampler' not in loader and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f'{where}.batch_size must be a positive integer, got {size!r}; 64 is usual')
