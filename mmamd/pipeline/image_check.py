"""The images of a run, looked at before anything of it is written: their files, and what the splits have in common."""

import os
from collections.abc import Callable, Sequence
from itertools import combinations

from mmengine.dataset import BaseDataset

from mmamd.pipeline.context import Context
from mmamd.pipeline.image_files import check_files, reads_files
from mmamd.pipeline.inputs import Images
from mmamd.pipeline.overlap import common_images, is_let_pass, refusal
from mmamd.pipeline.stages.training import TrainingStage

MANY = 20_000  # image files that take more than a second to look at, on one core


def check_images(context: Context, say: Callable[[str], None], *, are_new: bool) -> None:
    """Refuse images that cannot be read, and splits that have images in common; ``context.overlaps`` keeps the rest.

    Args:
        context: The run, its stages laid.
        say: Where the pipeline's own lines go.
        are_new: Whether this run has not looked at their files before.

    Raises:
        ValueError: With the first image, what was expected, and what to do.
    """
    splits = _splits(context)
    if are_new:
        _check_files([(name, config, dataset) for name, config, dataset, _ in splits], say)
    for (one, _, dataset, images), (other, _, _, others) in combinations(splits, 2):
        _compare(context, (one, dataset, images), (other, others))


def _splits(context: Context) -> list[tuple[str, dict, BaseDataset, Images]]:
    """(name, config, data set, images) of every loader that the run has, each once; stages may have their own."""
    found = [(f'{split}_dataloader', context.cfg[f'{split}_dataloader'].dataset, context.dataset(split),
              context.images(split)) for split in ('train', 'val', 'test') if context.dataset(split)]
    for stage in context.stages:
        if isinstance(stage, TrainingStage):
            dataset = context.training_dataset(stage.loader)
            if not any(dataset is each for _, _, each, _ in found):
                found.append((f"train_dataloader of the stage '{stage.name}'", stage.loader.settings['dataset'],
                              dataset, context.training_images(stage.loader)))
    order = ('train', 'val', 'test')
    return sorted(found, key=lambda split: order.index(split[3].split))


def _compare(context: Context, one: tuple[str, BaseDataset, Images], other: tuple[str, Images]) -> None:
    (name, dataset, images), (other_name, others) = one, other
    pair = f'{images.split}-{others.split}'
    if images.split == others.split or images.keys is None or others.keys is None:
        return
    num, first = common_images(images.keys, others.keys)
    if not num:
        return
    allowed = pair in context.settings.allow_overlap
    if not allowed and not is_let_pass(num, images.keys, others.keys):
        info = dataset.get_data_info(first)
        raise ValueError(refusal(pair, (name, other_name), (images.num, others.num), num,
                                 info.get('img_path') or f'the image at {first} of {name}'))
    before = context.overlaps.get(pair, {'images': 0})
    context.overlaps[pair] = {'images': max(num, before['images']), 'allowed': allowed}


def _check_files(splits: Sequence[tuple[str, dict, BaseDataset]], say: Callable[[str], None]) -> None:
    of_files = [(name, dataset) for name, config, dataset in splits if reads_files(config)]
    num = sum(len(dataset) for _, dataset in of_files)
    if num > MANY:
        say(f'looking at the headers of {num:,} image files')
    # Processes of a machine share its files among them; another machine may have a copy of its own.
    parts = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    part = int(os.environ.get('LOCAL_RANK', 0)) % parts
    for name, dataset in of_files:
        check_files(dataset, name.removesuffix('_dataloader'), (part, parts))
