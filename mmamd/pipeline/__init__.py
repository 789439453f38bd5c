"""Carries a config through the stages of the method."""

from mmamd.lazy import lazily

__all__ = ['DivergenceHook', 'EpochSeedHook', 'MultiStepRunner', 'TrainingDiverged', 'seed_worker']
__getattr__ = lazily(__name__, {
    'DivergenceHook': 'mmamd.pipeline.divergence', 'TrainingDiverged': 'mmamd.pipeline.divergence',
    'MultiStepRunner': 'mmamd.pipeline.runner',
    'EpochSeedHook': 'mmamd.pipeline.seeding', 'seed_worker': 'mmamd.pipeline.seeding'})
