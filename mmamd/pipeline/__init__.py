"""Carries a config through the stages of the method."""

from mmamd.pipeline.divergence import DivergenceHook, TrainingDiverged
from mmamd.pipeline.runner import MultiStepRunner
from mmamd.pipeline.seeding import EpochSeedHook, seed_worker

__all__ = ['DivergenceHook', 'EpochSeedHook', 'MultiStepRunner', 'TrainingDiverged', 'seed_worker']
