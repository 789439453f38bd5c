"""What a method lays, and what its trainings compute."""

from collections import Counter

import pytest
from mmengine.registry import DefaultScope
from mmpretrain.models import ImageClassifier
from torch.nn.modules.module import register_module_forward_hook

import mmamd
from mmamd.distillation.connectors import Linear
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.training import train
from mmamd.pruning import network_cost


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


@pytest.fixture
def run_small(tiny_config, tmp_path, monkeypatch):
    """Function that runs a method on a few images; returns the summary and what its trainings have really computed.

    That is, for each, the passes of all networks, and of the maps that connect their states, over its batches in MACs:
    a forward pass once, a backward pass twice.
    """
    counted = {}

    def counting(context, stage, *args, **kwargs):
        passes, mapped = Counter(), Counter()

        def count(network, inputs, out):
            if isinstance(network, Linear) and len(inputs[0]) > 1:
                mapped[network] += 3 * out[0].numel() * network.in_features
            if not isinstance(network, ImageClassifier) or len(inputs[0]) == 1:
                return  # one image is the distiller's own trial
            what = network, tuple((name, branch.active) for name, branch in network.backbone.branches())
            passes[what] += len(inputs[0])
            value = next(iter(out.values())) if isinstance(out, dict) else out
            if value.requires_grad:
                value.register_hook(lambda _: passes.update({what: 2 * len(inputs[0])}))

        handle = register_module_forward_hook(count)
        try:
            return train(context, stage, *args, **kwargs)
        finally:
            handle.remove()
            counted[stage.name] = sum(images * network_cost(network, dict(active)).macs
                                      for (network, active), images in passes.items()) + mapped.total()

    monkeypatch.setattr('mmamd.pipeline.stages.distil.train', counting)

    def run(**overrides):
        cfg = tiny_config(**{
            'student.train_cfg.max_epochs': 1, 'visualizer': None, 'train_dataloader.num_workers': 0,
            'train_dataloader.dataset.dataset.indices': 118, 'val_dataloader.dataset.dataset.indices': 118,
            'compression.importance.num_images': 32, 'test_dataloader.dataset.indices': 20, **overrides})
        return mmamd.compress(cfg, work_dir=tmp_path / 'run'), counted

    return run
