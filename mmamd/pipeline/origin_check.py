"""A run's config held against what the teacher's checkpoint says of itself, where no shape of a weight would tell."""

import copy
from typing import Any

import torch
from mmengine.dataset import BaseDataset

from mmamd.backbones.twins import with_elastic_backbone
from mmamd.channel_order import CHANNEL_ORDER, sees_rgb
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import pipeline_of
from mmamd.pipeline.plain import plain
from mmamd.registry import MODELS
from mmamd.weights.origin import Origin

MEANT = 'If that is meant, set compression.importance.check_teacher=False'
GREY_VALUES = 0.5  # that means and deviations may differ by
TOO_FAR = 2  # times larger or smaller: a network that reads maps of any size still knows what it was trained on


def check_origin(origin: Origin, source: str, context: Context) -> None:
    """Hold a run against where its teacher comes from; what the checkpoint does not tell is not looked at.

    Raises:
        ValueError: If heads, normalisation, image size or the order of classes are others; it names both values.
    """
    if origin.architecture is not None:
        _check_heads(origin.architecture['backbone'], context.architecture['backbone'], source)
    if origin.preprocessor is not None:
        check_normalisation(origin.preprocessor, context.architecture.get('data_preprocessor') or {}, source,
                            origin.train_pipeline or origin.test_pipeline, pipeline_of(context.cfg.train_dataloader))
    if origin.image_size is not None:
        check_size(origin.image_size, context.input_shape[1:], source)
    if origin.classes is not None:
        check_classes(origin.classes, classes_of(context.dataset('train')), source)


def _check_heads(theirs: dict, ours: dict, source: str) -> None:
    if plain(theirs.get('arch')) == plain(ours.get('arch')):
        return
    counts = [_heads(backbone) for backbone in (theirs, ours)]
    if None not in counts and counts[0] != counts[1]:
        raise ValueError(f'the teacher {source} was trained with {_counted(counts[0])} heads a layer, says its own '
                         f'config, and model.architecture.backbone has {_counted(counts[1])}; the shapes of weights '
                         f'are the same, the function is not: set model.architecture.backbone.arch.num_heads. {MEANT}')


def _heads(backbone: dict) -> list[int] | None:
    """Heads of each layer; None of a network that this package does not know."""
    backbone = with_elastic_backbone(dict(backbone=plain(backbone)))['backbone']
    try:
        with torch.random.fork_rng(devices=[]):
            network = MODELS.build(copy.deepcopy(backbone))
        return [group.count for group in network.unit_groups() if group.kind == 'head']
    except (AttributeError, KeyError, TypeError, ValueError, AssertionError):
        return None


def _counted(heads: list[int]) -> str:
    return str(heads[0]) if len(set(heads)) == 1 else str(heads)


def check_normalisation(theirs: dict, ours: dict, source: str, their_pipeline: list | None = None,
                        our_pipeline: list | None = None) -> None:
    """Raise ValueError for images that are normalised otherwise than those that a teacher was trained on.

    Args:
        theirs, ours: Preprocessors, the teacher's and the run's.
        source: Of the teacher's weights.
        their_pipeline, our_pipeline: Transforms of the images, which say whether these come as RGB or BGR; one that is
            not known is taken to be as the other.
    """
    for key in ('mean', 'std'):
        expected, found = (plain(each.get(key)) for each in (theirs, ours))
        if not _alike(expected, found):
            raise ValueError(f'the teacher {source} was trained on images with data_preprocessor.{key}={expected!r}, '
                             f'says its own config, and this run has {found!r}; set '
                             f'data_preprocessor.{key}={expected!r}. {MEANT}')
    expected, found = ('RGB' if is_rgb else 'BGR' for is_rgb in (
        sees_rgb(theirs, their_pipeline or our_pipeline), sees_rgb(ours, our_pipeline or their_pipeline)))
    if expected != found:
        key = next((key for each in (ours, theirs) for key in CHANNEL_ORDER if each.get(key)), CHANNEL_ORDER[0])
        raise ValueError(f'the teacher {source} was trained on {expected} images, says its own config, and this run '
                         f'shows it {found}; set data_preprocessor.{key}={not ours.get(key)}. {MEANT}')


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(abs(a - b) <= GREY_VALUES for a, b in zip(one, other, strict=True))
    return one == other


def check_size(theirs: tuple[int, int], ours: tuple[int, int], source: str) -> None:
    """Raise ValueError for images of at least twice or at most half the size of those that a teacher was trained on."""
    ratio = max(ours) / max(theirs)
    if ratio >= TOO_FAR or ratio <= 1 / TOO_FAR:
        raise ValueError(f'the teacher {source} was trained on images of {theirs[0]} x {theirs[1]}, says its own '
                         f'config, and this run has {ours[0]} x {ours[1]}; resize them in the pipelines of the data '
                         f"sets (dict(type='Resize', scale={theirs[::-1]})) and set "
                         f'model.architecture.backbone.img_size={theirs}. {MEANT}')


def check_classes(theirs: tuple[str, ...], ours: tuple[str, ...] | None, source: str) -> None:
    """Raise ValueError where a teacher and the data have the same classes in another order; others say nothing."""
    if ours is None or theirs == ours or sorted(theirs) != sorted(ours):
        return
    place = next(i for i, (one, other) in enumerate(zip(theirs, ours, strict=True)) if one != other)
    raise ValueError(f'the teacher {source} has its classes in another order than the training images: {place} is '
                     f'{theirs[place]!r} to it and {ours[place]!r} to them; number the images as it does, by an '
                     f'ann_file and classes=. {MEANT}')


def classes_of(dataset: BaseDataset) -> tuple[str, ...] | None:
    """Names of the classes of a data set, where it has them."""
    classes = dataset.metainfo.get('classes')
    return None if classes is None else tuple(classes)
