"""All of a state from a part of another: what hides the rest, and what generates it.

Legend: C channels.
"""

from collections.abc import Callable

import torch
from mmengine.dist import get_rank
from torch import Tensor, nn

from mmamd.distillation.genome import NUM_TRANSFORMS
from mmamd.seeds import derive_seed


class Generator(nn.Sequential):
    """Two 3 x 3 convolutions of C channels with a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(channels, channels, 3, padding=1))


class MaskSeed:
    """Where the masks of a term come from: they follow from its seed, the step, the process and the teacher.

    So a run that is resumed draws what an uninterrupted one does, all candidates of a step are asked for the same, and
    nothing else that draws is disturbed. Made in :meth:`Loss.build`, whose draws are the term's own.
    """

    def __init__(self) -> None:
        self.seed = int(torch.randint(2**31, ()))

    def rand(self, *shape: int, progress: float, index: int) -> Tensor:
        """Uniform numbers in [0, 1), on the CPU."""
        return torch.rand(shape, generator=self.generator(progress, index))

    def for_transforms(self, progress: float, place: int) -> Callable[..., Tensor]:
        """``rand(slot, *shape)`` of a genome's transforms, the slots of one place: a teacher, or a layer of one."""
        def rand(slot: int, *shape: int) -> Tensor:
            return self.rand(*shape, progress=progress, index=NUM_TRANSFORMS * place + slot)
        return rand

    def generator(self, progress: float, index: int, device: torch.device | str = 'cpu') -> torch.Generator:
        """What draws them; on another device others, and no copy."""
        seed = derive_seed(self.seed, str(progress), get_rank(), index)
        return torch.Generator(device).manual_seed(seed)


def check_share(share: float) -> None:
    """Raises ValueError unless the share that is masked lies between 0 and 1."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(f'share must lie in (0, 1), got {share!r}; it is the part that is masked')
