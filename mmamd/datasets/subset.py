"""Some images of a data set, chosen by a rule, as a data set."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

from mmengine.dataset import BaseDataset, force_full_init

from mmamd.datasets.wrapper import DatasetWrapper


class Subset(DatasetWrapper, ABC):
    """Some images of a data set: a class that inherits from it says which.

    They are taken by the wrapped data set's own ``get_subset``: a pipeline that asks for a replacement of a broken
    image gets one of the same subset.

    Raises:
        TypeError: If ``dataset`` is no data set that has parts.
    """

    @abstractmethod
    def choose(self) -> list[int]:
        """Indices of the images, a function of the wrapped data set, which has been loaded."""

    def _loaded(self) -> None:
        self._indices = self.choose()
        try:
            self.dataset = self.dataset.get_subset(self._indices)
        except (AttributeError, NotImplementedError) as error:  # of the host's wrappers
            raise TypeError(f'no part of a {type(self.dataset).__name__} can be taken; take it of each data set that '
                            'is wrapped there') from error

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Index, in the whole data set, of image ``idx`` of these."""
        return self._indices[idx]

    @force_full_init
    def get_subset(self, indices: Sequence[int]) -> 'Subset':
        """Some of these images, of which some may be chosen in turn."""
        subset = copy.copy(self)
        subset.dataset = self.dataset.get_subset(list(indices))
        subset._indices = [self._indices[index] for index in indices]
        return subset


def labels_of(dataset: BaseDataset, instead: str) -> list[int]:
    """The class of each image.

    Args:
        instead: What to do where images have no class of their own; ends the message.

    Raises:
        ValueError: If an image has not exactly one.
    """
    try:
        return [_only_class(dataset.get_cat_ids(index), index) for index in range(len(dataset))]
    except (AttributeError, NotImplementedError) as error:
        raise ValueError(f'the images of a {type(dataset).__name__} have no one class each to be split by; '
                         f'{instead}.') from error


def _only_class(classes: Sequence[int], index: int) -> int:
    if len(classes) != 1:
        raise ValueError(f'exactly one class a sample is needed, got {list(classes)} for sample {index}. '
                         'Split a multi-label data set with annotation files of its own.')
    return classes[0]
