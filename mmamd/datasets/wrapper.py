"""What a data set over another one answers by asking it."""

from typing import Any

from mmengine.dataset import force_full_init

from mmamd.registry import DATASETS


class DatasetWrapper:
    """A data set over another one.

    Args:
        dataset: A data set of MMEngine or a wrapper of one, which is left as it is, or its config; an un-prefixed type
            is looked up in the default scope.
        lazy_init: Whether to leave loading the annotations to the first use.

    Raises:
        TypeError: If ``dataset`` is neither a config nor a data set.
    """

    def __init__(self, *, dataset: Any, lazy_init: bool = False) -> None:
        if not (isinstance(dataset, dict) or hasattr(dataset, 'full_init')):  # the host's wrappers have no common class
            raise TypeError(f'dataset must be a config (dict) or a data set of MMEngine, got {type(dataset).__name__}.')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """A copy of the wrapped data set's meta information."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the wrapped data set. Does nothing the second time."""
        if not self._fully_initialized:
            self.dataset.full_init()
            self._loaded()
            self._fully_initialized = True

    def _loaded(self) -> None:
        """What is done once, with the wrapped data set loaded."""

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Annotation of an image."""
        return self.dataset.get_data_info(idx)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of an image."""
        return self.dataset.get_cat_ids(idx)

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        return self.dataset[idx]

    @force_full_init
    def __len__(self) -> int:
        return len(self.dataset)
