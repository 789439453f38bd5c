"""A teacher's logits, kept in files: every view of an image is asked for once.

Shapes: N samples, C classes, K classes whose logits are kept.
"""

import math
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MARK = 4  # bytes at the beginning of a row that tell whether it is there


def largest_and_rest(logits_NC: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """The K largest logits, and the one that all other classes have where they share the remaining probability evenly.

    With p the softmax of the logits, each of the others gets ``(1 - sum of the K largest p) / (C - K)``. As a logit
    that is the log of the mean of their exponentials, which float16 holds where the probability itself would be 0.

    Returns:
        Logits, shape (N, K + 1), the rest's last; and the classes of the first K, (N, K).

    Source: Wu et al. 2022 (TinyViT), section 3.1.
    """
    logits_NC = logits_NC.float()
    largest_NK, classes_NK = logits_NC.topk(top_k, dim=1)
    others_NC = logits_NC.scatter(1, classes_NK, -math.inf)
    rest_N1 = others_NC.logsumexp(1, keepdim=True) - math.log(logits_NC.shape[1] - top_k)
    return torch.cat([largest_NK, rest_N1], dim=1), classes_NK


def spread_rest(kept: Tensor, classes_NK: Tensor, num_classes: int) -> Tensor:
    """Logits (N, C) again, of what :func:`largest_and_rest` has left; every other class has the rest's logit."""
    logits_NC = kept[:, -1:].repeat(1, num_classes)
    return logits_NC.scatter(1, classes_NK, kept[:, :-1])


class TeacherCache:
    """The logits of one teacher for every view of every training image, a file a view.

    A row is an image: float16 logits, and a checksum of them that says that they are there. Processes of one machine
    share the files, each writing the rows of its own images. Files on a file system that several machines share may
    show a row late, or lose it; then the teacher is asked again. A torn row is not taken for a whole one.

    Args:
        folder: Where the files are, or will be; it exists.
        num_images: Number of training images.
        num_classes: C.
        top_k: K, less than C; None keeps the logits of all classes.

    Attributes:
        view: The view that the images come in from now on.
        was_asked: Whether the latest batch has run the teacher.
    """

    def __init__(self, folder: Path, num_images: int, num_classes: int, top_k: int | None) -> None:
        self.folder = folder
        self.view = 0
        self.was_asked = False
        self._num_images, self._num_classes, self._top_k = num_images, num_classes, top_k
        self._type = np.dtype([('mark', '<u4'), ('logits', '<f2', (num_classes,))] if top_k is None else [
            ('mark', '<u4'), ('logits', '<f2', (top_k + 1,)), ('classes', '<u4', (top_k,))])
        self._files: dict[int, np.ndarray] = {}

    def logits(self, samples: list, run: Callable[[], Tensor], device: torch.device | str = 'cpu') -> Tensor:
        """The teacher's logits of a batch in the current view, as they are kept: (N, C) float32, rounded to float16.

        Where any row is missing, the teacher is asked about the whole batch, whose size its last bits depend on. A row
        that is there stays as it is, so a run that continues reads what an uninterrupted one has used.

        Args:
            samples: Annotations of the images, which know their places in the training set.
            run: Asks the teacher about the batch.
            device: Where the logits are wanted.

        Raises:
            ValueError: If a logit is no number, or too large for float16.
        """
        rows = [sample.sample_idx for sample in samples]
        file = self._file()
        found = file[rows]  # a copy: what is looked at is what is used
        missing = [i for i, row in enumerate(found) if row['mark'] != _mark(row)]
        self.was_asked = bool(missing)
        if missing:
            answers = self._rows(run())
            for i in missing:
                file[rows[i]] = answers[i]
            found = file[rows]  # an image may be in a batch twice, and has one row
        return self._restored(found, device)

    def missing(self) -> list[int]:
        """Images whose row is not there in the current view."""
        return [i for i, row in enumerate(self._file()) if row['mark'] != _mark(row)]

    def put(self, image: int, logits_1C: Tensor) -> None:
        """Keep the logits of one image that has no row in the current view. Raises what :meth:`logits` raises."""
        self._file()[image] = self._rows(logits_1C)[0]

    def _rows(self, logits_NC: Tensor) -> np.ndarray:
        """Logits as rows of a file."""
        rows = np.zeros(len(logits_NC), self._type)
        kept = logits_NC
        if self._top_k is not None:
            kept, classes_NK = largest_and_rest(logits_NC, self._top_k)
            rows['classes'] = classes_NK.cpu().numpy()
        rows['logits'] = kept.detach().half().cpu().numpy()
        if not np.isfinite(rows['logits']).all():
            raise ValueError(f'the teacher has logits between {logits_NC.min().item():g} and '
                             f'{logits_NC.max().item():g}; teacher_cache keeps finite numbers up to 65504 in size: '
                             'look at the teacher, or leave teacher_cache out')
        for row in rows:
            row['mark'] = _mark(row)
        return rows

    def _restored(self, rows: np.ndarray, device: torch.device | str) -> Tensor:
        logits = torch.from_numpy(rows['logits'].astype(np.float32)).to(device)
        if self._top_k is None:
            return logits
        classes_NK = torch.from_numpy(rows['classes'].astype(np.int64)).to(device)
        return spread_rest(logits, classes_NK, self._num_classes)

    def _file(self) -> np.ndarray:
        """The file of the current view; a new one is full of zeros, which are no rows."""
        if self.view not in self._files:
            path = self.folder / f'view_{self.view}.bin'
            size = self._num_images * self._type.itemsize
            # Writing to a mapped file on a full disk kills the process without a word. Rows that are not there yet take
            # no room, also of a file that is there.
            taken = path.stat().st_blocks * 512 if path.exists() else 0
            free = shutil.disk_usage(self.folder).free
            if free < size - taken:
                raise OSError(f'view {self.view} of the teacher\'s logits needs {size - taken} more bytes in '
                              f'{self.folder}, where {free} are free; make room, or set fewer teacher_cache.views')
            with open(path, 'ab') as file:
                file.truncate(size)  # several processes may do so at once: what is there is kept
            self._files[self.view] = np.asarray(np.memmap(path, self._type, 'r+', shape=(self._num_images,)))
        return self._files[self.view]


def _mark(row: np.void) -> int:
    """What a row that is there begins with: a checksum of its rest, never 0.

    Of a machine that crashes, the disk may have kept a flag and not the row that it speaks of.
    """
    return zlib.crc32(row.tobytes()[MARK:]) or 1
