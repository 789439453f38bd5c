"""A stage is data: what it is known by is all of its fields, and nothing that does not change its outcome."""

import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmamd.distillation import SandwichSparsityHook
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Images, Loader, Weights
from mmamd.pipeline.plain import digest, identity
from mmamd.pipeline.stages import STAGES, Stage, fingerprint
from mmamd.search.distpro.stage import DistPro
from mmamd.search.kd_zero.stage import KDZero
from mmamd.selection import NPSDSelectionHook


@pytest.fixture(scope='module')
def stages(tiny_config, refit_config, finished_run):
    """One stage of each kind, as the finished run's config lays them, by kind."""
    def of(cfg):
        context = Context(cfg, Settings.from_cfg(cfg), finished_run[0], 0, lambda *_: None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            return {stage.kind: stage for stage in context.settings.method.stages(context)}
    searching = [of(tiny_config(search=dict(type=f'mmamd.{name}Search'), **{'method.type': 'mmamd.KD'}))
                 for name in (DistPro.__name__, KDZero.__name__)]
    sized = [of(refit_config(**{'compression.student_scale': 'auto', **goal}))
             for goal in ({'compression.latency': '2ms'}, {'compression.keep': 0.9})]
    plain = dict(type='ImageClassifier', head=dict(type='LinearClsHead', num_classes=10, in_channels=8),
                 backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8))
    black_box = of(tiny_config(**{'compression.teacher_architecture': plain, 'compression.teacher_weights': 'any.pth'}))
    return {**black_box, **sized[0], **sized[1], **searching[0], **searching[1], **of(refit_config()),
            **of(tiny_config(**{'model.teacher': None})), **of(tiny_config())}


def changed(value):
    """Another value of the same kind."""
    if isinstance(value, dict):
        return {**value, 'one more': 1}
    if isinstance(value, (list, tuple)):
        return type(value)([*value, 'one more'])
    if isinstance(value, bool):
        return not value
    if isinstance(value, Images):
        return replace(value, digest='other')
    if isinstance(value, Loader):
        return Loader({**value.settings, 'batch_size': 3})
    if isinstance(value, SandwichSparsityHook):
        return SandwichSparsityHook(sampler='all')
    if isinstance(value, NPSDSelectionHook):
        return value.with_rule('npsd_local')
    return {str: 'other', int: 7, float: 0.123, Weights: Weights('other')}.get(type(value), 'no longer None')


def test_every_kind_of_stage_is_registered_and_laid_by_some_config(stages):
    assert set(stages) == set(STAGES) == {'teacher', 'score', 'nest', 'distil', 'select', 'export', 'refit', 'distpro',
                                          'kd_zero', 'size', 'verify', 'latency', 'black_box'}


@pytest.mark.parametrize('kind', sorted(STAGES))
def test_changing_any_field_changes_the_fingerprint(stages, kind, finished_run, monkeypatch):
    # References to networks are digested by what they name; here their texts alone are to be seen.
    monkeypatch.setattr('mmamd.pipeline.stages.stage._network_digest', lambda *_: 'the same')
    monkeypatch.setattr(type(stages[kind]), 'files', lambda self: [])
    stage = stages[kind]
    before = fingerprint(stage, finished_run[0])
    for field in fields(stage):
        other = replace(stage, **{field.name: changed(getattr(stage, field.name))})
        assert fingerprint(other, finished_run[0]) != before, field.name


@pytest.mark.parametrize('kind', sorted(STAGES))
def test_a_copy_has_the_same_fingerprint(stages, kind, finished_run, monkeypatch):
    monkeypatch.setattr('mmamd.pipeline.stages.stage._network_digest', lambda *_: 'the same')
    stage = stages[kind]
    assert fingerprint(copy.deepcopy(stage), finished_run[0]) == fingerprint(stage, finished_run[0])


def test_a_new_field_at_its_default_refuses_no_run_that_was_made_before_it():
    @dataclass(frozen=True, kw_only=True)
    class Older(Stage):
        kind = 'toy'
        value: int

    @dataclass(frozen=True, kw_only=True)
    class Newer(Older):
        kind = 'toy'
        option: bool = False

    try:
        before = fingerprint(Older(name='a', value=1), Path())
        assert before == fingerprint(Newer(name='a', value=1), Path())
        assert before != fingerprint(Newer(name='a', value=1, option=True), Path())
    finally:
        del STAGES['toy']


def test_images_and_weights_may_move_and_loaders_may_be_tuned(tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'a.pth')
    (tmp_path / 'b.pth').write_bytes((tmp_path / 'a.pth').read_bytes())
    assert digest(Weights(str(tmp_path / 'a.pth'))) == digest(Weights(str(tmp_path / 'b.pth')))
    assert digest(Weights('https://somewhere/a.pth')) != digest(Weights('https://somewhere/b.pth'))
    here, there = (Loader(dict(batch_size=2, pin_memory=pin, dataset=dict(dataset=dict(type='A', data_root=root))))
                   for pin, root in ((True, 'here'), (False, 'there')))
    assert digest(here) == digest(there) != digest(Loader({**here.settings, 'batch_size': 3}))
    assert digest(Images('train', 3, 'x')) != digest(Images('train', 3, 'y'))


def test_tuples_are_lists_and_one_is_one():
    assert digest(dict(a=(1, 2.0), b=True)) == digest(dict(b=True, a=[1.0, 2])) != digest(dict(b=1, a=[1, 2]))
    assert identity(torch.nn.Linear) == 'torch.nn.modules.linear.Linear'


@pytest.mark.parametrize('value, kind', [(torch.zeros(1), 'Tensor'), (object(), 'object'), (Path('x'), 'PosixPath'),
                                         (torch.bfloat16, 'dtype'), ({1, 2}, 'set'),
                                         (lambda: 1, 'function')])
def test_a_value_that_is_no_json_is_refused_with_its_place(value, kind):
    with pytest.raises(ValueError, match=f'joint.hooks.0.x is .*, a {kind}, by which a run that continues cannot be '
                                         'known; expected plain values'):
        digest([dict(x=value)], 'joint.hooks')


def test_a_config_with_such_a_value_is_refused_before_anything_is_written(tiny_config, tmp_path):
    import mmamd
    cfg = tiny_config()
    cfg.optim_wrapper.optimizer.weight_decay = torch.tensor(0.05)
    with pytest.raises(ValueError, match='^optim_wrapper.optimizer.weight_decay .*tensor'):
        mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
