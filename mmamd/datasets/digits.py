"""Handwritten digits that scikit-learn carries along: real images with nothing to download.

1,797 images of 8 x 8 pixels and grey levels 0 to 16: the test set of "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak, UCI Machine Learning Repository, 1998).
"""

from collections.abc import Sequence

import numpy as np
from mmpretrain.datasets import BaseDataset
from sklearn.datasets import load_digits

from mmamd.datasets.holdout import split_by_class
from mmamd.registry import DATASETS

SPLITS = ('train', 'test')
TEST_EVERY = 5  # every 5th image of each class is a test image: 355 of 1,797
GREY_LEVEL_MAX = 16  # of the originals; stretched to 255


def to_rgb_uint8(images_NHW: np.ndarray) -> np.ndarray:
    """Grey levels 0-16, float (N, H, W), to three equal channels of 0-255, uint8 (N, H, W, 3)."""
    stretched_NHW = np.rint(images_NHW * (255 / GREY_LEVEL_MAX)).astype(np.uint8)
    return np.repeat(stretched_NHW[..., None], 3, axis=-1)


@DATASETS.register_module()
class Digits(BaseDataset):
    """Handwritten digits as MMPretrain serves CIFAR: ``dict(img=uint8 (8, 8, 3), gt_label=int)`` enters the pipeline.

    Args:
        split: ``'train'`` (1,442 images) or ``'test'`` (355: every 5th image of each class). The files keep no record
            of who wrote which digit, so writers may occur in both.
        pipeline: Transforms of a sample, after loading.
        metainfo: Overrides of the meta information.
        indices: The first so many samples, or these; None for all.
        test_mode: Whether a sample that the pipeline rejects is an error instead of being replaced by another.
        lazy_init: Whether to leave loading to the first use.

    Raises:
        ValueError: If ``split`` is unknown.
    """

    METAINFO = {'classes': tuple('0123456789')}

    def __init__(self, *, split: str = 'train', pipeline: Sequence = (), metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None, test_mode: bool = False, lazy_init: bool = False):
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}.')
        self.split = split
        super().__init__(ann_file='', pipeline=pipeline, metainfo=metainfo, indices=indices, test_mode=test_mode,
                         lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """All samples of the split, in the order of the original file."""
        digits = load_digits()
        images_NHWC = to_rgb_uint8(digits.images)
        train, test = split_by_class(digits.target.tolist(), TEST_EVERY)
        return [dict(img=images_NHWC[index], gt_label=int(digits.target[index]))
                for index in (train if self.split == 'train' else test)]
