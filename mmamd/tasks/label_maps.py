"""Files with a label a pixel, and what can be said of them before they are used.

Legend: H x W pixels.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from mmengine import fileio
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

IGNORED = 255  # the label of pixels that are of no class, as the host's data sets write it


@dataclass(frozen=True)
class LabelMap:
    """What is known of one file.

    Attributes:
        size: Width and height.
        counts: Label -> pixels that have it, ascending.
    """

    size: tuple[int, int]
    counts: tuple[tuple[int, int], ...]

    @property
    def labels(self) -> list[int]:
        """Labels that occur, but for the ignored one."""
        return [label for label, _ in self.counts if label != IGNORED]


def label_map_of(info: dict) -> LabelMap:
    """The label map of one image of a data set.

    Args:
        info: What the data set says of the image: ``seg_map_path``, ``label_map`` and ``reduce_zero_label``.

    Raises:
        OSError, ValueError: If the file cannot be read, or has more than one number a pixel.
    """
    path, changes = info['seg_map_path'], info.get('label_map')
    changed = os.stat(path).st_mtime_ns if os.path.isfile(path) else None
    return _looked_through(path, changed, bool(info.get('reduce_zero_label')),
                           tuple(changes.items()) if changes else ())


def image_size(path: str) -> tuple[int, int]:
    """Width and height of an image; raises OSError if it is none."""
    with Image.open(BytesIO(fileio.get(path))) as image:
        return image.size


def read_labels(path: str, reduce_zero_label: bool = False, changes: Sequence[tuple[int, int]] = ()) -> NDArray:
    """Labels (H, W), uint8, as the host's ``LoadAnnotations`` makes them.

    Args:
        path: Of the file.
        reduce_zero_label: Whether label 0 becomes the ignored one, and each other label one less.
        changes: Pairs of a label and the one that takes its place.
    """
    with Image.open(BytesIO(fileio.get(path))) as image:
        labels_HW = np.array(image).astype(np.uint8)
    if labels_HW.ndim != 2:
        raise ValueError(f'it has the shape {labels_HW.shape}, expected one number a pixel')
    table = np.arange(256, dtype=np.uint8)
    if reduce_zero_label:
        table = np.append(np.uint8(IGNORED), table[:-1])
        table[IGNORED] = IGNORED
    reduced = table.copy()
    for before, after in changes:
        table[reduced == before] = after
    return table[labels_HW]


@lru_cache(maxsize=1 << 16)  # asked for by the checks, and again by what a split is known by
def _looked_through(path: str, _changed: int | None, reduce_zero_label: bool, changes: tuple) -> LabelMap:
    try:
        labels_HW = read_labels(path, reduce_zero_label, changes)
    except UnidentifiedImageError as error:  # which speaks of an object in memory
        raise OSError('it is no image') from error
    counts = np.bincount(labels_HW.ravel(), minlength=256)
    return LabelMap(labels_HW.shape[::-1], tuple((int(label), int(counts[label])) for label in counts.nonzero()[0]))
