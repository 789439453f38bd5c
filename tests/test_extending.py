"""docs/extending.md is true: each of its files is short, complete, and runs beside a config that imports it."""

import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
from mmamd.export import cut_network
from mmamd.export.logits import sliced
from mmamd.pruning import network_cost
from mmamd.registry import METHODS, MODELS
from mmamd.selection.rules import RULES
from mmamd.structures import Candidate, Cost, Selection
from mmamd.tasks import task_of
from mmamd.tasks.task import TASKS

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / 'tests' / 'test_pipeline' / 'tiny_config.py'
PAGE = (ROOT / 'docs' / 'extending.md').read_text()
FILES = dict(re.findall(r'<!-- extension: (\w+\.py) -->\n```python\n(.*?)```', PAGE, re.DOTALL))


@pytest.fixture(scope='module', autouse=True)
def extensions(tmp_path_factory):
    """The files of the page, where Python finds them; what they register is forgotten afterwards."""
    folder = tmp_path_factory.mktemp('extensions')
    for name, text in FILES.items():
        (folder / name).write_text(text)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    own = {Path(name).stem for name in FILES}
    for known in (MODELS.module_dict, METHODS.module_dict, RULES):
        for name in [name for name, each in known.items() if getattr(each, 'score', each).__module__ in own]:
            del known[name]
    TASKS[:] = [task for task in TASKS if task.__module__ not in own]


@pytest.fixture
def compress(tmp_path):
    """Function that runs the tiny config, its teacher trained for two epochs, with a page's file imported."""
    def run(module, text, **overrides):
        (tmp_path / 'config.py').write_text(f"_base_ = [{str(TINY)!r}]\n"
                                            f"custom_imports = dict(imports=[{module!r}])\n{text}")
        cfg = Config.fromfile(tmp_path / 'config.py')
        cfg.merge_from_dict({'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1, 'visualizer': None,
                             **overrides})
        return mmamd.compress(cfg, work_dir=tmp_path / 'run')

    return run


def test_the_page_has_a_file_of_each_kind():
    assert set(FILES) == {f'my_{kind}.py' for kind in ('loss', 'method', 'rule', 'backbone', 'task')}


@pytest.mark.parametrize('name', FILES)
def test_a_file_is_complete_in_forty_lines(name):
    assert len(FILES[name].strip().splitlines()) <= 40
    assert max(map(len, FILES[name].splitlines())) <= 120


@pytest.mark.draws
def test_the_loss_and_the_rule_run_in_the_whole_method(compress, tmp_path):
    summary = compress('my_loss', "custom_imports['imports'].append('my_rule')\n"
                                  "model = dict(losses=dict(cosine=dict(type='mmamd.CosineLoss', weight=0.5)))\n"
                                  "custom_hooks = [dict(type='mmamd.NPSDSelectionHook', rule='five_points')]\n")
    curves = (tmp_path / 'run' / 'joint').glob('*/vis_data/scalars.json')
    assert '0.50.loss_cosine' in next(curves).read_text()
    selection = Selection.load(tmp_path / 'run' / 'select' / 'selection.json')
    assert summary['selections'][0]['rule'] == 'five_points' and set(selection.scores) >= {'npsd', 'five_points'}
    assert 'five points' in (tmp_path / 'run' / 'report.html').read_text() or (
        tmp_path / 'run' / 'select' / 'selection.png').is_file()


def test_the_method_lays_its_stages_and_an_unknown_option_of_it_is_refused(compress):
    with pytest.raises(ValueError, match="method has no key 'trough'. Did you mean through"):
        compress('my_method', "method = dict(_delete_=True, type='mmamd.Sequence', trough=[0.5])\n")
    with pytest.raises(ValueError, match=r'method.through names the scale 0.6, which is no candidate'):
        compress('my_method', "method = dict(_delete_=True, type='mmamd.Sequence', through=[0.6])\n")
    summary = compress('my_method', "method = dict(_delete_=True, type='mmamd.Sequence')\n")
    assert list(summary['stages']) == ['teacher', 'score', 'nest', 'assistant_1', 'assistant_2', 'student', 'export']
    assert (summary['method'], summary['cost']['trainings']) == ('Sequence', 4)


def test_the_backbone_runs_as_any_candidate():
    import my_backbone  # noqa: F401  registers it
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(dict(
            type='ImageClassifier', backbone=dict(type='mmamd.MaskedTwoConvs'), neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=16))).eval()
    group, = network.backbone.unit_groups()
    assert (group.name, group.count, group.min_count) == ('first.filter', 8, 1)
    images = torch.randn(2, 3, 8, 8)
    before = network(images)
    network.backbone.reorder({'first.filter': [7, 6, 5, 4, 3, 2, 1, 0]})
    torch.testing.assert_close(network(images), before)
    candidate = Candidate(0.5, {'first.filter': 3}, Cost(0, 0), 0.5)
    torch.testing.assert_close(cut_network(network, candidate)(images), sliced(network, candidate)(images))
    # 64 positions of kernels 3 x 3: 3 to 3 and 3 to 16 channels; and the head.
    assert network_cost(network, candidate.kept).macs == 64 * 9 * (9 + 48) + 48


def test_the_task_is_that_of_its_networks_alone(network_settings):
    import my_task
    many = dict(network_settings, head=dict(type='MultiLabelLinearClsHead', num_classes=3, in_channels=8))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network, one = MODELS.build(many), MODELS.build(network_settings)
    assert isinstance(task_of(network), my_task.MultiLabel) and not isinstance(task_of(one), my_task.MultiLabel)
    loss = network(torch.zeros(1, 3, 8, 8), [task_of(network).example(network)], mode='loss')['loss']
    assert loss.isfinite()
