"""What turns the alphas of the pathways into weights.

Legend: P pathways.
"""

import torch
from torch import Tensor

BIAS = 1.0  # the logit that the biased ones have beside the alphas

# The authors' code has them as styles 0 to 6; DistPro finds the biased softmax best.
NORMALISATIONS = {
    'constant': torch.ones_like,  # 0
    'softmax': lambda alpha: alpha.softmax(-1),  # 1
    'biased_softmax': lambda alpha: torch.cat([alpha, torch.full_like(alpha[..., :1], BIAS)], -1).softmax(-1)[..., :-1],
    'sigmoid': torch.sigmoid,  # 3
    'absolute': torch.abs,  # 4
    'absolute_share': lambda alpha: 3 * alpha.abs() / alpha.abs().sum(-1, keepdim=True),  # 5
    'biased_absolute_share': lambda alpha: 10 * alpha.abs() / (BIAS + alpha.abs().sum(-1, keepdim=True))}  # 6


def normalised(alpha_P: Tensor, by: str = 'biased_softmax', scale: str | float = 'num_pathways') -> Tensor:
    """Weights of the pathways, of the shape of the alphas.

    Args:
        alpha_P: One number a pathway, along the last dim.
        by: One of :data:`NORMALISATIONS`. The biased softmax has one more logit, 1, whose share is dropped, so that
            the weights add up to less than 1 and all may be small.
        scale: Factor of the weights; ``'num_pathways'`` for P, by which equal alphas have weights near 1. With the
            biased softmax it is style 333 of the authors' code.
    """
    return NORMALISATIONS[by](alpha_P) * scale_of(scale, alpha_P.shape[-1])


def scale_of(scale: str | float, num_pathways: int) -> float:
    """The factor itself."""
    return float(num_pathways if scale == 'num_pathways' else scale)


def check_normalisation(by: str, scale: str | float) -> None:
    """Raise ValueError unless there is such a normalisation and the scale is a positive number or has the name."""
    if by not in NORMALISATIONS:
        raise ValueError(f'normalisation must be one of {list(NORMALISATIONS)}, got {by!r}')
    is_number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
    if scale != 'num_pathways' and not (is_number and 0 < scale < float('inf')):
        raise ValueError(f"scale must be 'num_pathways' or a positive number, got {scale!r}; it is the factor of all "
                         'weights')
