"""The average of the weights that a stage has passed through, which it delivers in place of the last ones."""

import torch.nn as nn
from mmengine.hooks import EMAHook
from mmengine.model import BaseAveragedModel
from torch import Tensor

from mmamd.registry import MODELS


def weight_of_the_newest(step: int, share: float) -> float:
    """Weight of the weights after a step in their running average, 1 at step 0.

    With g = 1/share - 1 it is ``g / (g + step)``: the average of n steps weighs the i-th by about (i/n)^(g-1), and the
    mean age of what it averages is ``share * n`` steps. So it looks back over a share of what has been trained,
    whatever the length of a stage, and forgets where it began; 0.5 is the plain mean.

    Source: Shamir & Zhang, ICML 2013, section 4, polynomial-decay averaging with eta = g - 1. An average of fixed
    momentum has to be told the length of the stage.
    """
    g = 1 / share - 1
    return g / (g + step)


def check_share(share: float) -> None:
    """Raise ValueError unless an average can look back over this share of the steps."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 0.5:
        raise ValueError(f'share must lie in (0, 0.5], got {share!r}; it is the mean age of the averaged weights over '
                         'the steps that have been trained: 0.1 looks back over a tenth, 0.5 is the mean of all')


@MODELS.register_module()
class AveragedNetwork(BaseAveragedModel):
    """The averaged network of a distiller, kept by the host's EMAHook.

    The hook puts the average under ``state_dict`` of a checkpoint, where whoever delivers weights reads them, and the
    raw weights beside it, from which a resumed stage goes on. Training is not changed. Neither teachers nor terms are
    copied. Batch norm statistics are those of the raw weights: they do not fit the average and are to be found anew.

    Args:
        model: The distiller.
        share: See :func:`weight_of_the_newest`.

    Raises:
        ValueError: If ``share`` does not lie in (0, 0.5].
    """

    def __init__(self, model: nn.Module, *, share: float) -> None:
        check_share(share)
        super().__init__(_as_in(model))
        self.share = share

    def update_parameters(self, model: nn.Module) -> None:
        super().update_parameters(_as_in(model))

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        averaged_param.lerp_(source_param, weight_of_the_newest(int(steps), self.share))


def averaging_hook(share: float) -> EMAHook:
    """The hook that averages the weights of a stage; raises what :class:`AveragedNetwork` raises."""
    check_share(share)
    return EMAHook(ema_type='mmamd.AveragedNetwork', share=share)


def _as_in(distiller: nn.Module) -> nn.Module:
    """The network alone, under the name that it has in the distiller, by which the hook exchanges state dicts."""
    return nn.ModuleDict({'network': distiller.network})
