"""Joint distillation of a teacher into candidates that share their weights."""

from mmamd.distillation.averaging import AveragedNetwork
from mmamd.distillation.distiller import AMDDistiller
from mmamd.distillation.joint_loop import JointTrainLoop
from mmamd.distillation.losses import DKDLoss, FeatureLoss, LogitLoss, Loss, TaskLoss
from mmamd.distillation.mixed_precision import CpuAmpOptimWrapper
from mmamd.distillation.samplers import sample_candidates
from mmamd.distillation.sandwich_hook import SandwichSparsityHook

__all__ = ['AMDDistiller', 'AveragedNetwork', 'CpuAmpOptimWrapper', 'DKDLoss', 'FeatureLoss', 'JointTrainLoop',
           'LogitLoss', 'Loss', 'SandwichSparsityHook', 'TaskLoss', 'sample_candidates']
