"""Some images of a data set, chosen by a rule, as a data set."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

from mmengine.dataset import BaseDataset, force_full_init

from mmamd.registry import DATASETS


class Subset(ABC):
    """Some images of a data set: a class that inherits from it says which.

    They are taken by the wrapped data set's own ``get_subset``: a pipeline that asks for a replacement of a broken
    image gets one of the same subset.

    Args:
        dataset: A data set, which is left as it is, or its config; an un-prefixed type is looked up in the default
            scope.
        lazy_init: Whether to leave loading the annotations to the first use.

    Raises:
        TypeError: If ``dataset`` is neither a config nor a data set.
    """

    def __init__(self, *, dataset: BaseDataset | dict, lazy_init: bool = False) -> None:
        if not isinstance(dataset, dict | BaseDataset):
            raise TypeError(f'dataset must be a config (dict) or a BaseDataset, got {type(dataset).__name__}.')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @abstractmethod
    def choose(self) -> list[int]:
        """Indices of the images, a function of the wrapped data set, which has been loaded."""

    @property
    def metainfo(self) -> dict:
        """A copy of the wrapped data set's meta information."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the wrapped data set and take the images. Does nothing the second time."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._indices = self.choose()
        self.dataset = self.dataset.get_subset(self._indices)
        self._fully_initialized = True

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Index, in the whole data set, of image ``idx`` of these."""
        return self._indices[idx]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Annotation of image ``idx`` of these."""
        return self.dataset.get_data_info(idx)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of image ``idx`` of these, as a list of one."""
        return self.dataset.get_cat_ids(idx)

    @force_full_init
    def get_subset(self, indices: Sequence[int]) -> 'Subset':
        """Some of these images, of which some may be chosen in turn."""
        subset = copy.copy(self)
        subset.dataset = self.dataset.get_subset(list(indices))
        subset._indices = [self._indices[index] for index in indices]
        return subset

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        return self.dataset[idx]

    @force_full_init
    def __len__(self) -> int:
        return len(self.dataset)


def labels_of(dataset: BaseDataset, instead: str) -> list[int]:
    """The class of each image.

    Args:
        instead: What to do where images have no class of their own; ends the message.

    Raises:
        ValueError: If an image has not exactly one.
    """
    try:
        return [_only_class(dataset.get_cat_ids(index), index) for index in range(len(dataset))]
    except NotImplementedError as error:
        raise ValueError(f'the images of a {type(dataset).__name__} have no one class each to be split by; '
                         f'{instead}.') from error


def _only_class(classes: Sequence[int], index: int) -> int:
    if len(classes) != 1:
        raise ValueError(f'exactly one class a sample is needed, got {list(classes)} for sample {index}. '
                         'Split a multi-label data set with annotation files of its own.')
    return classes[0]
