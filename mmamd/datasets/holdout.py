"""Hold a fixed part of the training images out, for the choice of the assistant.

Candidates must not be compared on the images they were trained on, nor on the test set that judges the student. Images
of one class each are split class by class. Frames of a video are split in blocks, for two neighbours are nearly one
image. Does not split data sets whose images have several classes (multi-label).
"""

from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mmamd.datasets.subset import Subset, labels_of
from mmamd.registry import DATASETS

PARTS = ('train', 'held_out')


def split_by_class(labels: Sequence[int], every: int) -> tuple[list[int], list[int]]:
    """Send every ``every``-th sample of each class to the second part, all others to the first.

    A class with fewer than ``every`` samples stays whole in the first part.

    Args:
        labels: Class of each sample, in the order of the data set.
        every: k of "every k-th", counted within the class from 1; at least 2.

    Returns:
        Two ascending lists of indices, disjoint, together all of ``range(len(labels))``.

    Raises:
        ValueError: If ``every`` is no integer of at least 2.
    """
    _check_every(every)
    kept, set_aside = [], []
    seen: dict[int, int] = {}
    for index, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        (set_aside if seen[label] % every == 0 else kept).append(index)
    return kept, set_aside


def split_in_blocks(num: int, every: int, block: int) -> tuple[list[int], list[int]]:
    """Send every ``every``-th block of neighbouring samples to the second part, all others to the first.

    Args:
        num: Number of samples.
        every: k of "every k-th", counted from 1; at least 2.
        block: Samples of a block, at least 1; the last block may be shorter.

    Returns:
        Two ascending lists of indices, disjoint, together all of ``range(num)``.

    Raises:
        ValueError: If ``every`` is no integer of at least 2, or ``block`` none of at least 1.
    """
    _check_every(every)
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise ValueError(f'block must be an integer of at least 1, got {block!r}. block=10 keeps ten neighbouring '
                         'frames together.')
    kept, set_aside = [], []
    for index in range(num):
        (set_aside if (index // block + 1) % every == 0 else kept).append(index)
    return kept, set_aside


def _check_every(every: int) -> None:
    if not isinstance(every, int) or every < 2:
        raise ValueError(f'every must be an integer of at least 2, got {every!r}. every=10 sets a tenth aside; 1 would '
                         'leave nothing to train on.')


@DATASETS.register_module()
class HoldOut(Subset):
    """One part of a data set: the held-out images, or those that remain for training.

    A function of the data set's order alone, so that both parts of one data set, on every rank and in every run, fit
    together.

    Args:
        dataset: A data set, or its config; an un-prefixed type is looked up in the default scope.
        part: ``'train'`` or ``'held_out'``.
        every: Every ``every``-th image of each class, in the order of the data set, is held out; or every
            ``every``-th block.
        block: Images of a block, in the order of the data set, for images that do not have one class each; None splits
            by class.
        lazy_init: Whether to leave loading the annotations to the first use.

    Raises:
        TypeError: If ``dataset`` is neither a config nor a data set.
        ValueError: If ``part``, ``every`` or ``block`` is out of range, a sample has not exactly one class where there
            are no blocks, or nothing would be held out.
    """

    def __init__(self, *, dataset: BaseDataset | dict, part: str, every: int = 10, block: int | None = None,
                 lazy_init: bool = False):
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}.')
        split_in_blocks(0, every, 1 if block is None else block)  # refuse bad numbers before any file is read
        self.part = part
        self.every = every
        self.block = block
        super().__init__(dataset=dataset, lazy_init=lazy_init)

    def choose(self) -> list[int]:
        train, held_out = self._split_by_class() if self.block is None else split_in_blocks(
            len(self.dataset), self.every, self.block)
        if not held_out:
            raise ValueError(f'every={self.every} and block={self.block} hold no image out of the {len(self.dataset)} '
                             f'of this {type(self.dataset).__name__}. Choose smaller ones, or check that the data set '
                             'is complete.')
        return train if self.part == 'train' else held_out

    def _split_by_class(self) -> tuple[list[int], list[int]]:
        labels = labels_of(self.dataset, 'set block=, the number of neighbouring images that stay together, e.g. '
                                         'block=10 for frames of a video and block=1 for single pictures')
        train, held_out = split_by_class(labels, self.every)
        if not held_out:
            raise ValueError(f'every={self.every} holds no image out: no class of this {type(self.dataset).__name__} '
                             f'({len(labels)} images of {len(set(labels))} classes) has that many images. '
                             'Choose a smaller `every`, or check that the data set is complete.')
        return train, held_out

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(part={self.part!r}, every={self.every}, block={self.block}, '
                f'dataset={self.dataset!r})')
