"""Augmentation that comes again: view v of an image is the same whenever, and by whichever process, it is read."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dataset import BaseDataset, force_full_init

from mmamd.datasets.wrapper import DatasetWrapper
from mmamd.registry import DATASETS
from mmamd.seeds import derive_seed


@contextmanager
def randomness_of(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's CPU generators from a seed on, and afterwards as they were.

    Generators of GPUs are left alone: ``torch.manual_seed`` would seed those of the network in training.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


@DATASETS.register_module()
class RepeatedViews(DatasetWrapper):
    """A training set of which each image has numbered views.

    What its transforms draw is a function of (seed, view, place of the image), and what others draw does not depend on
    it. A transform that keeps a generator of its own is not covered.

    The images must be numbered: ``sample_idx`` of a sample is the image's place in the set, by which others know it.

    Args:
        dataset: A data set of packed samples, or its config.
        seed: Of the views.
        lazy_init: Whether to leave loading the annotations to the first use.

    Attributes:
        view: Number of the view that is read from now on; workers take it over when they start.
    """

    def __init__(self, *, dataset: BaseDataset | dict, seed: int, lazy_init: bool = False) -> None:
        self.seed = seed
        self.view = 0
        super().__init__(dataset=dataset, lazy_init=lazy_init)

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        """The image at a place in the current view.

        Raises:
            ValueError: If the sample says that it is another image, or does not say which.
        """
        with randomness_of(derive_seed(self.seed, 'view', self.view, idx)):
            sample = self.dataset[idx]
        number = sample['data_samples'].get('sample_idx')
        if number != idx:
            why = ("a transform that packs its samples leaves sample_idx out; name it in meta_keys" if number is None
                   else 'either the data set numbers its images anew, as one of several data sets does, or the image '
                        'is broken and was replaced; train on one data set of whole images')
            raise ValueError(f'image {idx} of the training set has sample_idx={number!r}, expected {idx}, by which '
                             f'it is known: {why}')
        return sample

    def __repr__(self) -> str:
        return f'{type(self).__name__}(view={self.view}, seed={self.seed}, dataset={self.dataset!r})'
