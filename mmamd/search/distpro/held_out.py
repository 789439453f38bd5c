"""The held-out images of a search: told apart from those that the weights are trained on, and dealt out for ever."""

import itertools
import logging
from collections.abc import Iterator

from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader

from mmamd.notices import notice
from mmamd.pipeline.images.overlap import common_images, image_key, is_let_pass, join_keys
from mmamd.seeds import derive_seed


def check_apart(train: BaseDataset, held_out: BaseDataset) -> None:
    """Raise ValueError if images are in both, other than pictures that a data set holds twice.

    Where a data set tells neither files nor pixels nobody can say, and that is warned of.
    """
    infos = [[split.get_data_info(index) for index in range(len(split))] for split in (train, held_out)]
    one, other = (join_keys([image_key(info) for info in each], each[0]) for each in infos)
    if one is None or other is None:
        notice('a data set tells neither img_path nor img of its images, so nobody can say whether the held-out '
               'images are trained on', logging.WARNING)
        return
    num, first = common_images(one, other)
    if num and not is_let_pass(num, one, other):
        place = infos[0][first].get('img_path') or f'the image at {first}'
        raise ValueError(f'{num} of {len(train)} training images are held-out images too, the first {place}: alphas '
                         'would follow what the weights have seen. Take the two parts of mmamd.HoldOut with the same '
                         'every=')


def endless(loader: DataLoader, epoch: int) -> Iterator[dict]:
    """Batches of an epoch, the loader being begun anew, in another order, as often as it ends.

    What an epoch is dealt follows from its number, so that a search which is resumed at its beginning goes on as it
    would have.

    Raises:
        ValueError: If the loader has no batch.
    """
    if not len(loader):
        raise ValueError(f'the held-out loader has no batch of its {len(loader.dataset)} images; make its batch_size '
                         'smaller, or set drop_last=False')
    for turn in itertools.count():
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(derive_seed('held out', epoch, turn))
        yield from loader
