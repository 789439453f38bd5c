"""The images of a run, looked at before anything of it is written: their files, and what its splits have in common."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mmengine.dataset import BaseDataset

from mmamd.notices import notice
from mmamd.pipeline.context import Context
from mmamd.pipeline.images.files import check_files, reads_files
from mmamd.pipeline.images.overlap import common_images, is_let_pass, refusal
from mmamd.pipeline.inputs import Images
from mmamd.pipeline.stages.training import TrainingStage

ORDER = ('train', 'val', 'test')
MANY = 20_000  # image files that take more than a second to look at, on one core


@dataclass(frozen=True)
class Read:
    """What a loader of the run reads.

    Attributes:
        name: Of the loader.
        config: Of its data set.
        dataset: The data set.
        images: Its images.
    """

    name: str
    config: dict
    dataset: BaseDataset
    images: Images


def check_images(context: Context, say: Callable[[str], None], *, are_new: bool) -> None:
    """Refuse images that cannot be read, and splits that have images in common; ``context.overlaps`` keeps the rest.

    Args:
        context: The run, its stages laid.
        say: Where the pipeline's own lines go.
        are_new: Whether this run has not looked at their files before.

    Raises:
        ValueError: With the first image, what was expected, and what to do.
    """
    read = _read_by(context)
    if are_new:
        _check_files(read, say)
    for each in read:
        if each.images.keys is None:
            notice(f'{each.name}: its data set tells neither img_path nor img of its images, so nobody can say '
                   'whether another split has them too', logging.WARNING)
    for one, other in combinations(read, 2):
        if one.images.split != other.images.split and one.images.keys and other.images.keys:
            _compare(context, one, other)


def _read_by(context: Context) -> list[Read]:
    """What the loaders read, in the order of the splits; stages may have loaders of their own."""
    found = []
    for split in ORDER:
        dataset = context.dataset(split)  # refuses a split that there is not
        found.append(Read(f'{split}_dataloader', context.cfg[f'{split}_dataloader'].dataset, dataset,
                          context.images(split)))
    for stage in context.stages:
        if isinstance(stage, TrainingStage):
            dataset = context.training_dataset(stage.loader)
            if not any(dataset is each.dataset for each in found):
                found.append(Read(f"train_dataloader of the stage '{stage.name}'", stage.loader.settings['dataset'],
                                  dataset, context.training_images(stage.loader)))
    return sorted(found, key=lambda each: ORDER.index(each.images.split))


def _compare(context: Context, one: Read, other: Read) -> None:
    pair = f'{one.images.split}-{other.images.split}'
    num, first = common_images(one.images.keys, other.images.keys)
    if not num:
        return
    allowed = pair in context.settings.allow_overlap
    if not allowed and not is_let_pass(num, one.images.keys, other.images.keys):
        place = one.dataset.get_data_info(first).get('img_path') or f'the image at {first} of {one.name}'
        raise ValueError(refusal(pair, (one.name, other.name), (one.images.num, other.images.num), num, place))
    before = context.overlaps.get(pair, {'images': 0})
    context.overlaps[pair] = {'images': max(num, before['images']), 'allowed': allowed}


def _check_files(read: Sequence[Read], say: Callable[[str], None]) -> None:
    of_files = [each for each in read if reads_files(each.config)]
    num = sum(each.images.num for each in of_files)
    if num > MANY:
        say(f'looking at the headers of {num:,} image files')
    # Processes of a machine share its files among them; another machine may have a copy of its own.
    parts = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    part = int(os.environ.get('LOCAL_RANK', 0)) % parts
    for each in of_files:
        check_files(each.dataset, each.name.removesuffix('_dataloader'), (part, parts))
