"""Runs of digits that are about to search."""

import shutil

import pytest
from laid_run import QUICK
from mmengine.registry import DefaultScope

from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context


@pytest.fixture
def laid(tiny_config, finished_run, tmp_path):
    """Function from a section ``search`` to a run whose stages are laid, and those before the search finished.

    What it spends is listed in ``context.bills``.
    """
    def lay(search, folder='run', **overrides):
        cfg = tiny_config(**{**QUICK, **overrides}, search=search)
        work_dir = tmp_path / folder
        shutil.copytree(finished_run[0] / 'nest', work_dir / 'nest')
        bills = []
        context = Context(cfg, Settings.from_cfg(cfg), work_dir, 0, spend=lambda *bill: bills.append(bill))
        context.bills = bills
        context.stages = context.settings.method.stages(context)
        return context

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield lay


