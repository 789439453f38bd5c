"""What a method lays, without running it."""

import pytest
from mmengine.registry import DefaultScope

from mmamd.pipeline.context import Context
from mmamd.pipeline.settings import Settings


@pytest.fixture(scope='session')
def planned(tiny_config, tmp_path_factory):
    """Function from a method and overrides of the tiny config to the context of a run whose stages are laid.

    The same overrides give the same context, so that what it has counted is counted once; its stages are laid anew.
    """
    contexts, nowhere = {}, tmp_path_factory.mktemp('planned') / 'nowhere'

    def of(method, **overrides):
        if repr(overrides) not in contexts:
            cfg = tiny_config(**overrides)
            contexts[repr(overrides)] = Context(cfg, Settings.from_cfg(cfg), nowhere, 0, lambda *_: None)
        context = contexts[repr(overrides)]
        context.planned_scales.clear()
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            context.stages = method.stages(context)
        return context

    return of


@pytest.fixture(scope='session')
def lay(planned):
    """The same to the stages, by name."""
    return lambda method, **overrides: {stage.name: stage for stage in planned(method, **overrides).stages}
