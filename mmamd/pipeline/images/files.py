"""Image files of a data set, looked at before anything runs: there, not empty, of a known format, whole."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import mmcv
from mmengine.dataset import BaseDataset
from PIL import Image

from mmamd.pipeline.inputs import leaf_datasets

THREADS = 16  # they wait for disks; what Python does of it is one core's work, about 15,000 files a second
CHUNK = 256  # files that a thread takes at a time
DECODED = 32  # images of a split that are decoded whole, evenly spread
MOST_NAMED = 5
# What the last bytes of a whole file hold. A file without it is decoded: some have bytes of another program behind.
ENDS = {'PNG': b'IEND', 'JPEG': b'\xff\xd9'}
TAIL = 64  # bytes


def reads_files(dataset: dict) -> bool:
    """Whether a data set's config reads each image by the host's own transform from a disk."""
    leaves = list(leaf_datasets(dataset))
    readers = [next(iter(leaf.get('pipeline') or []), {}) for leaf in leaves]
    return bool(leaves) and all(
        str(reader.get('type')).rpartition('.')[2] == 'LoadImageFromFile'
        and not reader.get('file_client_args') and (reader.get('backend_args') or {}).get('backend') in (None, 'local')
        for reader in readers)


def check_files(dataset: BaseDataset, split: str, share: tuple[int, int] = (0, 1)) -> None:
    """Read the header of every image file of a split, and decode some whole.

    Args:
        dataset: Of the split; :func:`reads_files` says that it reads files.
        split: Its name, for the message.
        share: Which part of how many parts this process looks at.

    Raises:
        ValueError: If some cannot be read; it names the first ones.
    """
    places = range(share[0], len(dataset), share[1])
    decoded = set(places[::max(1, len(places) // DECODED)])
    chunks = [places[i:i + CHUNK] for i in range(0, len(places), CHUNK)]

    def look(chunk: range) -> list[str]:
        paths = ((i, dataset.get_data_info(i).get('img_path')) for i in chunk)
        return [f'{path} {fault}' for i, path in paths if path and (fault := fault_of(path, decode=i in decoded))]

    with ThreadPoolExecutor(THREADS) as pool:
        faults = list(chain.from_iterable(pool.map(look, chunks)))
    if faults:
        raise ValueError(f'{len(faults)} of {len(places)} image files of the {split} data set cannot be read: '
                         f'{_first(faults)}. Restore them, or take them out of the folder or of ann_file')


def fault_of(path: str, decode: bool = False) -> str | None:
    """What is wrong with an image file, in a clause; None if nothing is seen to be.

    Args:
        path: Of the file; one of a remote store is not looked at.
        decode: Whether to decode it whole, whatever its header and its end look like.
    """
    if '://' in path:
        return None
    try:
        with open(path, 'rb') as file:
            if not os.fstat(file.fileno()).st_size:
                return 'is empty'
            with Image.open(file) as image:
                format_ = image.format
            file.seek(-min(TAIL, file.seek(0, os.SEEK_END)), os.SEEK_END)
            is_whole = ENDS.get(format_, b'') in file.read()
        return None if is_whole and not decode else _fault_of_pixels(path)
    except FileNotFoundError:
        return 'is missing'
    except Image.UnidentifiedImageError:  # by Pillow; the host may know the format
        return None if _decodes(path) else 'is no image of a format that can be read'
    except Image.DecompressionBombError:  # larger than Pillow likes, which the host does not ask
        return None
    except OSError as error:
        return f'cannot be read: {error.strerror or error}'


def _fault_of_pixels(path: str) -> str | None:
    try:
        with Image.open(path) as image:
            image.load()
    except Image.DecompressionBombError:
        return None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        return f'is truncated or damaged ({error})'
    return None


def _decodes(path: str) -> bool:
    try:
        return mmcv.imread(path) is not None
    except Exception:  # of whatever reader: it could not
        return False


def _first(faults: Sequence[str]) -> str:
    more = f'; and {len(faults) - MOST_NAMED} more' if len(faults) > MOST_NAMED else ''
    return '; '.join(faults[:MOST_NAMED]) + more
