"""Images that two splits have in common: each is known by where its file lies or, in memory, by its pixels."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

PAIRS = {  # what an overlap of two splits would spoil
    'train-val': 'candidates would be chosen on images that they were trained on. mmamd.HoldOut with the same every= '
                 'in both loaders holds training images out',
    'train-test': 'the student would be reported on images that it was trained on',
    'val-test': 'the choice would be made on the images that judge it. Hold training images out for it, with '
                'mmamd.HoldOut'}
# Published data sets hold some pictures twice: of CIFAR-100, 9 test images are training images, pixel for pixel. Files
# have no such excuse.
SAME_PIXELS = 0.01  # share of the smaller split up to which equal pixels in memory are let pass


@dataclass(frozen=True)
class Keys:
    """What the images of a split are told apart by.

    Attributes:
        values: One number an image, uint64, shape (images,).
        are_pixels: Whether they are of pixels in memory; else of files.
    """

    values: np.ndarray
    are_pixels: bool


def image_key(info: dict) -> bytes | None:
    """Eight bytes by which an image is known, whatever its label; None where a data set tells neither file nor pixels.

    A file is known by its resolved path: reached by another ``data_root`` or by a link, it is the same.
    """
    if isinstance(info.get('img'), np.ndarray):
        where = info['img'].tobytes()
    elif info.get('img_path'):
        where = _resolved(str(info['img_path'])).encode(errors='surrogateescape')
    else:
        return None
    return hashlib.blake2b(where, digest_size=8).digest()


def join_keys(keys: Sequence[bytes | None], first: dict) -> Keys | None:
    """Keys of a split's images as one array; None if there is one that is not known."""
    if None in keys:
        return None
    return Keys(np.frombuffer(b''.join(keys), dtype=np.uint64), isinstance(first.get('img'), np.ndarray))


def common_images(one: Keys, other: Keys) -> tuple[int, int]:
    """Number of images that two splits have in common, and the place of the first one within ``one``."""
    common = np.intersect1d(one.values, other.values)
    return len(common), int(np.isin(one.values, common).argmax()) if len(common) else 0


def allowed_overlaps(value: Any) -> tuple[str, ...]:
    """The config's ``allow_overlap``, checked.

    Raises:
        ValueError: If it is no list of pairs of splits.
    """
    if value is None:
        return ()
    if isinstance(value, (list, tuple)) and all(pair in PAIRS for pair in value):
        return tuple(value)
    raise ValueError(f"allow_overlap must be a list of some of {list(PAIRS)}, got {value!r}; e.g. "
                     "allow_overlap=['val-test']")


def is_let_pass(num: int, one: Keys, other: Keys) -> bool:
    """Whether so many common images may be pictures that a published data set holds twice."""
    return one.are_pixels and num <= SAME_PIXELS * min(len(one.values), len(other.values))


def refusal(pair: str, names: Sequence[str], sizes: Sequence[int], num: int, first: str) -> str:
    """What is said of an overlap that is not allowed."""
    return (f'{names[0]} ({sizes[0]} images) and {names[1]} ({sizes[1]} images) have {num} '
            f'image{"s" * (num != 1)} in common, the first {first}: {PAIRS[pair]}; or allow it by '
            f"allow_overlap=['{pair}'], which the report shows")


def _resolved(path: str) -> str:
    if '://' in path:
        return path
    # One look at each file and not at each of its folders.
    return os.path.realpath(path) if os.path.islink(path) else os.path.join(
        _resolved_folder(os.path.dirname(path)), os.path.basename(path))


@lru_cache(maxsize=65536)
def _resolved_folder(folder: str) -> str:
    return os.path.realpath(folder)
