"""Transforms that weigh channels, positions or samples by attention, or hide some of them (KD-Zero, Table 1)."""

from torch import Tensor

from mmamd.distillation.operations.operation import Rand, transform

SHARPNESS = 0.5  # temperature of the attention's softmax
DROPPED = 0.1  # share of the channels
MASKED = 0.65  # share of the positions


@transform('drop', draws=True)
def drop(x: Tensor, rand: Rand) -> Tensor:
    """A tenth of the channels, or of the elements of vectors, is 0, the others are divided by 0.9."""
    kept = (rand(*x.shape[:2]) >= DROPPED).to(x)
    return x * kept.reshape(*x.shape[:2], *[1] * (x.ndim - 2)) / (1 - DROPPED)


@transform('satt', least_rank=4)
def satt(x: Tensor) -> Tensor:
    """``x sqrt(A)`` with ``A = HW softmax_HW(mean_C |x| / 0.5)``."""
    strength_N1HW = x.abs().mean(dim=1, keepdim=True)
    return x * _root_of_attention(strength_N1HW.flatten(1)).reshape(strength_N1HW.shape)


@transform('natt', needs_batch=True)
def natt(x: Tensor) -> Tensor:
    """``N softmax_N(x / 0.5)`` over the samples, axis 0: the attention itself."""
    return len(x) * (x / SHARPNESS).softmax(dim=0)


@transform('catt')
def catt(x: Tensor) -> Tensor:
    """``x sqrt(A)`` of maps with ``A = C softmax_C(mean_HW |x| / 0.5)``; of lower ranks ``C softmax_C(x / 0.5)``."""
    channels = x.shape[1]
    if x.ndim < 4:
        return channels * (x / SHARPNESS).softmax(dim=1)
    return x * _root_of_attention(x.abs().mean(dim=(2, 3), keepdim=True))


def _root_of_attention(strength: Tensor) -> Tensor:
    """``sqrt(K softmax(x / 0.5))`` along dim 1, of K. In logarithms, since a root has no slope where a share is 0."""
    return strength.shape[1] ** 0.5 * ((strength / SHARPNESS).log_softmax(dim=1) / 2).exp()


@transform('mask', least_rank=4, draws=True)
def mask(x: Tensor, rand: Rand) -> Tensor:
    """65 % of the positions are 0 in all channels, (N, 1, H, W) being drawn."""
    return x * (rand(len(x), 1, *x.shape[2:]) > MASKED).to(x)
