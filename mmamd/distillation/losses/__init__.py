"""The terms of ``L = L_ce + alpha * L_logit + beta * L_feat`` (and L_dkd), one formula a file.

L_ce is the host head's own loss and has no file here.
"""

import math

from mmamd.distillation.losses.dkd import DKDLoss, dkd_loss
from mmamd.distillation.losses.feature import FeatureLoss, feature_loss, leading_channels, resolve_layers
from mmamd.distillation.losses.logit import LogitLoss, logit_loss

__all__ = ['DKDLoss', 'FeatureLoss', 'LogitLoss', 'check_loss_weights', 'dkd_loss', 'feature_loss',
           'leading_channels', 'logit_loss', 'resolve_layers']


def check_loss_weights(ce: float, logit: float, feat: float, dkd: float = 0.0) -> None:
    """Refuses weights with which nothing, or the opposite of the intended, would be learned.

    A weight of 0 leaves its term out (it is not computed), which is how the ablations of AMD, supplement Table 4 are
    reached.

    Raises:
        ValueError: A weight is negative or not finite, or all weights are 0.
    """
    weights = {'ce': ce, 'logit': logit, 'feat': feat, 'dkd': dkd}
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f'loss weight {name} must be a finite number >= 0, got {weight}; 0 leaves the term out')
    if not any(weights.values()):
        raise ValueError(f'all loss weights are 0, got {weights}; nothing would be trained. Make at least one positive')
