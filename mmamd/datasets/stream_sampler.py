"""A sampler for schedules that count steps: an endless stream of images, dealt out in epochs of fixed length."""

from collections.abc import Iterator, Sized

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmamd.registry import DATA_SAMPLERS
from mmamd.seeds import derive_seed


@DATA_SAMPLERS.register_module()
class StreamSampler(Sampler):
    """Deal out passes over a data set, one after the other, in epochs of so many images a process.

    Pass p is permuted by (seed, p), and epoch e begins where epoch e - 1 ended, so a run that continues at an epoch's
    end sees the images that an uninterrupted one sees. Processes take turns.

    Args:
        dataset: What is sampled.
        num_samples: Images of an epoch on each process, at least 1.
        shuffle: Whether passes are permuted.
        seed: Of all processes; the host gives its own.
    """

    def __init__(self, dataset: Sized, num_samples: int, shuffle: bool = True, seed: int | None = None) -> None:
        if num_samples < 1:
            raise ValueError(f'num_samples must be at least 1, got {num_samples}')
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        self.num_samples = num_samples
        self.shuffle = shuffle
        self.seed = 0 if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.num_samples * self.world_size + self.rank
        current, order = None, []
        for position in range(first, first + self.num_samples * self.world_size, self.world_size):
            number, place = divmod(position, self.size)
            if number != current:
                current, order = number, self._order(number)
            yield order[place]

    def _order(self, number: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, 'pass', number))
        return torch.randperm(self.size, generator=generator).tolist()

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Called by the host before each epoch."""
        self.epoch = epoch
