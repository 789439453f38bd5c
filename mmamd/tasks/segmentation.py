"""Semantic segmentation by MMSegmentation: one class a pixel, but for those that are ignored.

MMSegmentation is imported where it is needed, for classification runs without it.

Shapes: N images, H x W pixels, C classes, h x w positions of the head's logits.
"""

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from PIL import Image
from torch import Tensor

from mmamd.registry import MODELS
from mmamd.tasks.areas import areas_in, areas_of, mean_of_defined, sums_of_draws
from mmamd.tasks.label_maps import IGNORED, image_size, label_map_of
from mmamd.tasks.task import Task, register_task

SPOTS = 4  # a side: places of an image that count as answers of their own, which neighbouring pixels are not


@register_task
class Segmentation(Task):
    """See :class:`Task`. Logits are the head's own, before they are enlarged to the image.

    Attributes:
        ignore_index: The label of pixels that take part in no loss and no measure.
    """

    scope = 'mmseg'
    metric = 'mIoU'
    is_percent = True
    classes_key = 'decode_head.num_classes'
    scales_backbone = True  # heads are not pruned, and may cost more than what they read
    any_size = True
    expected_data = ('images under data_root/data_prefix.img_path, their label maps under data_prefix.seg_map_path, '
                     'and for each of metainfo.classes a colour in metainfo.palette, or no palette at all')
    answers = f'places in training images, {SPOTS} x {SPOTS} in each,'
    class_measure = 'IoU'
    ignore_index = IGNORED

    # --- the network ---

    @staticmethod
    def is_of(network: nn.Module) -> bool:
        base = sys.modules.get('mmseg.models.segmentors.base')  # who has built one has imported it
        return base is not None and isinstance(network, base.BaseSegmentor)

    def check_installed(self) -> None:
        try:
            import mmseg.models  # noqa: F401
        except (ImportError, AssertionError) as error:
            raise ValueError(f"default_scope='mmseg' needs MMSegmentation and the full mmcv, and here: {error}. "
                             'Install mmsegmentation==1.2.2, and mmcv==2.1.0 in the place of mmcv-lite; bash '
                             'tools/run_tests.sh --seg makes an environment of its own that has both') from error

    def check_network(self, network: nn.Module) -> None:
        """Raise ValueError for a head without logits, another ignored label, or windows that leave gaps."""
        self.logits_from(network)
        for head in _heads(network):
            if head.ignore_index != IGNORED:
                raise ValueError(f'model.architecture: a {type(head).__name__} has ignore_index={head.ignore_index!r}, '
                                 f'expected {IGNORED}, what data sets make of pixels without a class; leave it out')
        windows = network.test_cfg or {}
        if windows.get('mode') == 'slide' and any(
                crop < step for crop, step in zip(windows['crop_size'], windows['stride'], strict=True)):
            raise ValueError(f"model.architecture.test_cfg.crop_size={tuple(windows['crop_size'])} is smaller than its "
                             f"stride={tuple(windows['stride'])}, so that windows would leave gaps; make the stride "
                             'two thirds of the crop')

    def logits_from(self, network: nn.Module) -> str:
        *_, last = names = list(_heads_by_name(network))
        head = network.get_submodule(last)
        if not (hasattr(head, 'cls_seg') and isinstance(getattr(head, 'conv_seg', None), nn.Conv2d)):
            raise ValueError(f'a {type(head).__name__} gives no logits by cls_seg and conv_seg, so there is nothing '
                             f'that pixels could be compared by (one of {names}); take a head of one map of logits, '
                             "such as FCNHead, PSPHead, ASPPHead, UPerHead or SegformerHead")
        return f'{last}.conv_seg'

    def num_classes(self, network: nn.Module) -> int | None:
        return _heads(network)[-1].num_classes

    def rest(self, network: nn.Module, features: tuple) -> Tensor:
        """As the contract says; of a head that reads the last stage alone, its features may be all that there are."""
        features = network.neck(features) if network.with_neck else features
        first, *others = _heads(network)
        if self.classifiers(network):
            features = (features[-1],) * (max(first.in_index, 0) + 1)
        logits = first(features)
        for head in others:
            logits = head(features, logits)
        return logits

    def classifiers(self, network: nn.Module) -> dict[str, nn.Module]:
        last, *others = _heads(network)
        if others or network.with_neck or not isinstance(last.in_index, int) or last.in_index not in (
                -1, len(network.backbone.out_indices) - 1):
            return {}
        return {'conv_seg': last.conv_seg}

    def rebuild(self, config: str | Path | Config, weights: str | Path, device: str = 'cpu') -> nn.Module:
        config = config if isinstance(config, Config) else Config.fromfile(config)
        with DefaultScope.overwrite_default_scope('mmseg'):
            model = copy.deepcopy(config.model)
            if config.get('data_preprocessor') is not None:
                model.setdefault('data_preprocessor', copy.deepcopy(config.data_preprocessor))
            network = MODELS.build(model)
        load_checkpoint(network, str(weights), map_location='cpu', strict=True)
        network.cfg = config  # where the host's inference looks for the test pipeline
        return network.to(device).eval()

    # --- batches ---

    def collate(self, samples: list[dict]) -> dict:
        return pseudo_collate(samples)

    def preprocess(self, network: nn.Module, batch: dict, training: bool) -> dict:
        """As the contract says. What was prepared for training is padded, and must not be given to ``predict``."""
        sizes = sorted({tuple(image.shape[1:]) for image in batch['inputs']})
        if not training and len(sizes) > 1:
            raise ValueError(f'a batch has images of {sizes[0]} and {sizes[-1]} pixels (height, width), which only '
                             'training pads to one size; crop them to one in the pipeline, or read one at a time: '
                             'compression.importance.batch_size=1, batch_size=1 of val_dataloader and test_dataloader')
        return network.data_preprocessor(batch, training=training)

    def example(self, network: nn.Module) -> Any:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample
        size = getattr(network.backbone, 'input_shape', (3, SPOTS, SPOTS))[1:]
        labels = torch.zeros(1, *size, dtype=torch.int64, device=next(network.parameters()).device)
        return SegDataSample(gt_sem_seg=PixelData(data=labels))

    # --- labels ---

    def check(self, info: dict, num_classes: int) -> str | None:
        path, image = info.get('seg_map_path'), info.get('img_path')
        if path is None:
            return f'has no label map of {image}; set data_prefix.seg_map_path'
        try:
            labels = label_map_of(info)
        except (OSError, ValueError) as error:
            return f'has a label map {path} that cannot be read: {error}; restore it, or take it out of the data set'
        try:
            size = image_size(image)
        except OSError as error:
            return f'has an image {image} that cannot be read: {error}; restore it, or take it out of the data set'
        if size != labels.size:
            return (f'has the image {image} of {size[0]} x {size[1]} pixels and its label map {path} of '
                    f'{labels.size[0]} x {labels.size[1]}; make both of one size')
        wrong = [label for label in labels.labels if label >= num_classes]
        if wrong:
            return (f'has label {wrong[0]} in {path}, but the head has {num_classes} classes (0 to {num_classes - 1}), '
                    f'and {IGNORED} is ignored; set model.architecture.{self.classes_key}, or let the label map of the '
                    f'data set make it {IGNORED}; where 0 is no class, set reduce_zero_label=True')
        return None

    def about_missing(self, classes: list[int]) -> str:
        return ('. No pixel is of class 0: is reduce_zero_label=True missing, because 0 means no class, or too much?'
                if 0 in classes else '')

    def classes_in(self, info: dict) -> set[int]:
        return set(label_map_of(info).labels)

    def identity(self, info: dict) -> bytes:
        maps = info.get('label_map'), info.get('reduce_zero_label')
        names = [Path(info.get(key) or '').name for key in ('img_path', 'seg_map_path')]
        return f'{names} {maps} {label_map_of(info)}\n'.encode()

    def hard_targets(self, samples: list) -> Tensor:
        """The class of each pixel, int64, shape (N, H, W); :attr:`ignore_index` where there is none.

        Raises:
            ValueError: A sample has no labels, or they are of several sizes.
        """
        maps = [sample.gt_sem_seg.data.squeeze(0) if 'gt_sem_seg' in sample else None for sample in samples]
        sizes = sorted({'none' if each is None else str(tuple(each.shape)) for each in maps})
        if len(sizes) > 1 or sizes == ['none']:
            raise ValueError(f'expected label maps of one size in a batch, got {", ".join(sizes)}; crop the images to '
                             'one size in the pipeline, and let it load annotations')
        return torch.stack(maps).long()

    def labelled(self, samples: list, size: tuple[int, int]) -> Tensor:
        return _nearest(self.hard_targets(samples), size) != IGNORED

    def classified(self, logits: Tensor, samples: list) -> tuple[Tensor, Tensor] | None:
        if logits.dim() != 4:
            return None
        right = _nearest(self.hard_targets(samples).to(logits.device), (SPOTS, SPOTS))
        said = _nearest(logits.argmax(1), (SPOTS, SPOTS))
        return said[right != IGNORED], right[right != IGNORED]

    # --- measures ---

    def measure(self, metric: Any, results: list) -> dict[str, float]:
        """The host's means over classes, in percent, and ``'absent'``: how many classes no label is of.

        Those are left out of the means. Of a metric that does not collect areas, what the host computes.
        """
        areas = areas_of(metric, results)
        if areas is None:
            return {key: float(value) for key, value in metric.compute_metrics(results).items() if np.ndim(value) == 0}
        areas = areas.sum(0)
        present = areas[3] > 0
        found = metric.total_area_to_metrics(*areas[:, present], metric.metrics, metric.nan_to_num, metric.beta)
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        means = {key if key == 'aAcc' else f'm{key}': 100 * mean_of_defined(value) for key, value in found.items()}
        return {prefix + key: float(value) for key, value in {**means, 'absent': int((~present).sum())}.items()}

    def resampled(self, metric: Any, results: list, draws_BN: np.ndarray) -> Iterator[list]:
        """Areas add up, so that one sum stands for all images of a draw."""
        areas = areas_of(metric, results)
        if areas is None:
            return super().resampled(metric, results, draws_BN)
        return ([tuple(each)] for each in sums_of_draws(areas, draws_BN))

    def by_class(self, results: list) -> list[float | None] | None:
        """Intersection over union; None for a class that neither labels nor predictions have."""
        areas = areas_in(results)
        if areas is None:
            return None
        intersection_K, union_K = areas.sum(0)[:2].tolist()
        return [100 * both / either if either else None for both, either in zip(intersection_K, union_K, strict=True)]

    def unseeing(self, results: list) -> list | None:
        """It takes all pixels of all images for the class of the most pixels."""
        areas = areas_in(results)
        if areas is None or not areas.numel():
            return None
        labels_NC = areas[:, 3]
        said_NC = torch.zeros_like(labels_NC)
        most = labels_NC.sum(0).argmax()
        said_NC[:, most] = labels_NC.sum(1)
        right_NC = torch.zeros_like(labels_NC)
        right_NC[:, most] = labels_NC[:, most]
        return list(zip(right_NC, said_NC + labels_NC - right_NC, said_NC, labels_NC, strict=True))

    # --- what a report shows of some images ---

    def classes_of(self, dataset: Any) -> list[int]:
        return [0] * len(dataset)

    def class_names(self, dataset: Any) -> list[str] | None:
        classes = dataset.metainfo.get('classes')
        return list(classes) if classes else None

    def why_not_shown(self, items: list[dict], predicted: Any) -> str | None:
        return 'each pixel of an image has a class of its own; see the scenes'

    def meta(self, dataset: Any) -> dict:
        """Names and colours of the classes, for which the host would take those of another data set."""
        return {'dataset_meta': dict(classes=self.class_names(dataset), palette=self.palette(dataset))}

    def palette(self, dataset: Any) -> list[list[int]]:
        return [list(colour) for colour in dataset.metainfo['palette']]

    def picture(self, sample: Any, palette: list[list[int]], is_said: bool) -> Image.Image:
        """As the contract says; ignored pixels are black."""
        labels_1HW = (sample.pred_sem_seg if is_said else sample.gt_sem_seg).data
        colours = np.zeros((IGNORED + 1, 3), np.uint8)
        colours[:len(palette)] = palette
        return Image.fromarray(colours[labels_1HW[0].to('cpu', torch.uint8).numpy()])


def _heads_by_name(network: nn.Module) -> dict[str, nn.Module]:
    """The decode heads, one or those of a cascade, by the names of their modules."""
    head = getattr(network, 'decode_head', None)
    if isinstance(head, nn.ModuleList):
        return {f'decode_head.{i}': each for i, each in enumerate(head)}
    if head is None:
        raise ValueError(f'a {type(network).__name__} has no decode_head; expected an EncoderDecoder or a '
                         'CascadeEncoderDecoder')
    return {'decode_head': head}


def _heads(network: nn.Module) -> list[nn.Module]:
    return list(_heads_by_name(network).values())


def _nearest(maps_NHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Class maps at another size, each position with the class at its middle."""
    return F.interpolate(maps_NHW[:, None].float(), size, mode='nearest-exact')[:, 0].long()
