"""The terms of the loss, one formula a file; :mod:`mmamd.distillation.losses.loss` says what a term is.

Each file of this folder is found by itself and registers its term. AMD's own are
``L = L_ce + alpha * L_logit + beta * L_feat``.
"""

from importlib import import_module
from pkgutil import iter_modules

from mmamd.distillation.losses.dkd import DKDLoss
from mmamd.distillation.losses.feature import FeatureLoss
from mmamd.distillation.losses.logit import LogitLoss
from mmamd.distillation.losses.loss import Loss, build_terms
from mmamd.distillation.losses.task import TaskLoss

for _module in iter_modules(__path__):
    import_module(f'{__name__}.{_module.name}')

__all__ = ['DKDLoss', 'FeatureLoss', 'LogitLoss', 'Loss', 'TaskLoss', 'build_terms']
