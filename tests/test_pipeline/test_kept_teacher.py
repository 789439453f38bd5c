"""Runs that ask their teachers once a view of an image."""

import contextlib
import copy
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, DefaultScope

import mmamd
from mmamd.distillation.distiller import distiller_of
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import teacher_cache
from mmamd.pipeline.stages.teacher_cache import (
    TeacherCacheHook,
    TeacherCacheSettings,
    cache_folder,
    cache_hook,
    check_cache,
    section_cache,
)
from mmamd.structures import Network

SHIFTED = [dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')]
PLAIN = [dict(type='PackInputs')]
# What a cache cannot go with is off: mixup and the feature loss. All 163 images in 11 steps, none dropped.
CONFIG = {'model.architecture.train_cfg': None, 'model.losses.feat.weight': 0., 'train_dataloader.num_workers': 0,
          'train_dataloader.drop_last': False, 'custom_hooks': [dict(type='RecordHook')], 'method.type': 'mmamd.KD',
          'teacher_cache': dict(views=2)}
NUM_STEPS, NUM_IMAGES = 11, 163
PIPELINE = 'train_dataloader.dataset.dataset.pipeline'


@HOOKS.register_module()
class RecordHook(Hook):
    """Keep the loss of every step, and in which (stage, epoch) the teacher was run; stop where it is told to."""

    losses, asked, stop_at = [], [], None

    def before_train(self, runner):
        stage = runner.work_dir.rpartition('/')[2]
        for teacher in distiller_of(runner.model).teachers:
            teacher.register_forward_hook(lambda *_: self.asked.append((stage, runner.epoch)))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if (runner.epoch, batch_idx) == self.stop_at:
            raise KeyboardInterrupt

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())


@pytest.fixture
def record():
    RecordHook.losses, RecordHook.asked, RecordHook.stop_at = [], [], None
    return RecordHook


@pytest.fixture
def config(tiny_config):
    """Function: the tiny config without what a cache cannot go with, and overrides."""
    return lambda **overrides: tiny_config(**copy.deepcopy({**CONFIG, **overrides}))


def times(asked):
    return {key: asked.count(key) for key in dict.fromkeys(asked)}


# --- what a run with a cache does ---

def test_without_augmentation_the_losses_are_those_without_a_cache_up_to_float16(config, tmp_path, record):
    found = {}
    for name, cache in (('without', None), ('with', dict(views=1))):
        record.losses = []
        mmamd.compress(config(**{'teacher_cache': cache, PIPELINE: PLAIN}), work_dir=tmp_path / name)
        found[name] = record.losses
    # Logits of up to 16 are rounded by at most 2^-8; no loss is the same, and none is far.
    assert len(found['with']) == 3 * NUM_STEPS
    assert found['with'] != found['without']
    assert found['with'] == pytest.approx(found['without'], rel=1e-3)
    assert list((tmp_path / 'without').glob('teacher_cache')) == []


def test_every_stage_of_a_run_asks_for_a_view_once_and_a_step_costs_what_it_ran(config, tmp_path, record):
    pretrain = dict(train_cfg=dict(max_epochs=1), losses=dict(ce=dict(weight=0.)))
    summary = mmamd.compress(config(pretrain=pretrain, **{PIPELINE: SHIFTED}), work_dir=tmp_path)
    # The teacher of both is the run's; the student's epochs show the views 0, 1, 0.
    assert times(record.asked) == {('pretrain_student', 0): NUM_STEPS, ('student', 1): NUM_STEPS}
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    assert summary['stages']['pretrain_student']['macs'] == NUM_IMAGES * (teacher + 3 * student)
    assert summary['stages']['student']['macs'] == NUM_IMAGES * (teacher + 3 * 3 * student)
    folder, = (tmp_path / 'teacher_cache').iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ['identity.json', 'view_0.bin', 'view_1.bin']


def test_images_that_an_epoch_drops_are_asked_about_when_it_ends(config, tmp_path, record):
    summary = mmamd.compress(config(**{
        PIPELINE: SHIFTED, 'train_dataloader.drop_last': True, 'teacher_cache.views': 1}), work_dir=tmp_path)
    # 10 batches of 16, then the other 3 of 163 one by one; the epochs after it ask nothing, whatever they drop.
    assert times(record.asked) == {('student', 0): 10 + 3}
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    assert summary['stages']['student']['macs'] == 163 * teacher + 3 * 160 * 3 * student


def test_an_assistant_is_kept_as_the_teacher_is(config, tmp_path, record):
    hooks = [dict(type='mmamd.NPSDSelectionHook', rule='manual', scale='largest'), *CONFIG['custom_hooks']]
    mmamd.compress(config(**{
        'method.type': 'mmamd.AMD', 'custom_hooks': hooks, 'teacher_cache': dict(views=1),
        'joint.train_cfg.max_epochs': 2, 'student.train_cfg.max_epochs': 2}), work_dir=tmp_path)
    assert times(record.asked) == {('joint', 0): NUM_STEPS, ('student', 0): NUM_STEPS}
    assert len(list((tmp_path / 'teacher_cache').iterdir())) == 2


def test_a_run_that_was_stopped_ends_where_an_uninterrupted_one_does(config, tmp_path, record):
    def student(name):
        mmamd.compress(config(**{PIPELINE: SHIFTED, 'train_dataloader.drop_last': True}), work_dir=tmp_path / name)
        return torch.load(tmp_path / name / 'student' / 'student.pth', weights_only=True)['state_dict']

    expected, losses = student('whole'), record.losses
    record.losses, record.stop_at = [], (1, 4)
    with pytest.raises(KeyboardInterrupt):
        student('stopped')
    record.stop_at = None
    before = len(record.asked)
    found = student('stopped')
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    # Ten steps of the first epoch, four of the second, which were taken again and asked nothing then.
    assert record.losses == losses[:14] + losses[10:]
    assert record.asked[before:].count(('student', 1)) == 10 - 4


@pytest.mark.slow
def test_workers_show_the_views_that_this_process_shows(config, tmp_path, record):
    found = []
    for num_workers in (0, 2):
        record.losses = []
        mmamd.compress(config(**{PIPELINE: SHIFTED, 'train_dataloader.num_workers': num_workers,
                                 'student.train_cfg.max_epochs': 2}), work_dir=tmp_path / str(num_workers))
        found.append(record.losses)
    assert found[0] == found[1]


# --- what a config says ---

def test_a_section_is_merged_over_the_top_level():
    cfg = ConfigDict(teacher_cache=dict(views=2, top_k=50), joint=dict(), student=dict(teacher_cache=dict(views=4)),
                     pretrain=dict(teacher_cache=None))
    assert section_cache(cfg, 'joint') == TeacherCacheSettings(views=2, top_k=50)
    assert section_cache(cfg, 'student') == TeacherCacheSettings(views=4, top_k=50)
    assert section_cache(cfg, 'pretrain') is None
    assert section_cache(ConfigDict(), 'joint') is None


def distil_stage(cfg, work_dir):
    context = Context(cfg, Settings.from_cfg(cfg), work_dir, 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return context, next(stage for stage in context.settings.method.stages(context) if stage.kind == 'distil')


@pytest.mark.parametrize('views, passes', [(1, 1), (2, 2), (3, 3), (8, 3), (None, 3)])
def test_the_plan_counts_as_many_passes_of_the_teacher_as_views_that_come(config, tmp_path, views, passes):
    cache = None if views is None else dict(views=views)
    context, stage = distil_stage(config(teacher_cache=cache), tmp_path)  # of 3 epochs
    student = stage.into[0] * context.teacher_cost.macs
    assert stage.macs(context) == pytest.approx(NUM_IMAGES * (passes * context.teacher_cost.macs + 3 * 3 * student))


# --- what is refused ---

@pytest.mark.parametrize('overrides, message', [
    ({'teacher_cache.views': 0}, 'teacher_cache.views must be a positive integer, got 0'),
    ({'teacher_cache.views': 2.5}, 'teacher_cache.views must be a positive integer, got 2.5'),
    ({'teacher_cache.top_k': True}, 'teacher_cache.top_k must be a positive integer, got True'),
    ({'teacher_cache.vews': 1}, "teacher_cache has no key 'vews'. Did you mean views"),
    ({'student.teacher_cache': dict(view=1)}, "student.teacher_cache has no key 'view'. Did you mean views"),
    ({'teacher_cache': 4}, r'must be None or a section .* got 4; e.g. teacher_cache=dict\(views=4\)'),
    ({'teacher_cache': dict(top_k=4)}, "must be None or a section that says how many views .*got {'top_k': 4}"),
    ({'teacher': dict(teacher_cache=dict(views=1))}, "teacher has no key 'teacher_cache'"),
    ({'model.losses.feat.weight': 1.}, "losses.feat: a FeatureLoss watches the teacher's hidden states, and "
     'teacher_cache keeps its logits alone; set student.losses.feat.weight=0, or .*student.teacher_cache=None'),
    ({'model.losses.logit.weight': 0.}, 'no term of student.losses asks the teacher, so there is nothing to keep'),
    ({'model.architecture.train_cfg': dict(augments=[dict(type='CutMix', alpha=1.)])},
     'mixes the images of a batch .*leave model.architecture.train_cfg.augments and .*student.teacher_cache=None'),
    ({'train_dataloader.sampler': dict(type='RepeatAugSampler')},
     'RepeatAugSampler shows an image several times an epoch.*leave it out, or'),
    ({'custom_hooks': [dict(type='SwitchRecipeHook', schedule=[])]}, 'SwitchRecipeHook changes the augmentation'),
    ({PIPELINE: [dict(type='PackInputs', meta_keys=())]},
     'image 0 .*sample_idx=None, expected 0.*name it in meta_keys'),
], ids=str)
def test_it_is_refused_before_anything_is_written(config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_images_that_are_numbered_twice_are_refused_before_anything_is_written(config, tmp_path):
    cfg = config()
    part = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, part])
    with pytest.raises(ValueError, match='image 325 of the training set has sample_idx=162, expected 325.*numbers its'):
        mmamd.compress(cfg, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('name', ['teacher', 'data', 'augmentation', 'seed', 'precision', 'top_k'])
def test_a_cache_that_was_made_from_other_inputs_is_refused_and_says_which(tmp_path, name):
    ours = dict(teacher='a', data='b', augmentation=['c'], seed=0, precision={}, top_k=None)
    folder, other = cache_folder(tmp_path, ours), cache_folder(tmp_path / 'other', {**ours, name: 'another'})
    assert folder.name != other.name
    assert cache_folder(tmp_path, ours) == folder
    shutil.copy(other / 'identity.json', folder)  # as who would use the files of another run
    with pytest.raises(ValueError, match=f'made from other inputs; they differ in: {name}. Delete the folder'):
        cache_folder(tmp_path, ours)


def test_another_teacher_other_images_and_other_augmentation_are_kept_elsewhere(config, tmp_path):
    def folder(teacher='a.pth', **overrides):
        context, stage = distil_stage(config(**overrides), tmp_path)
        return cache_hook(stage, context, [Network(context.architecture, teacher)]).caches[0].folder

    same = folder()
    assert folder(**{'teacher_cache.views': 7, 'train_dataloader.batch_size': 8}) == same
    others = [folder(teacher='b.pth'), folder(**{PIPELINE: PLAIN}), folder(**{'optim_wrapper.type': 'AmpOptimWrapper'}),
              folder(**{'train_dataloader.dataset.every': 7})]
    assert len({same, *others}) == 5
    assert json.loads((same / 'identity.json').read_text()).keys() == {
        'teacher', 'data', 'augmentation', 'precision', 'seed', 'top_k'}


def test_a_process_that_does_not_see_the_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_cache, 'is_main_process', lambda: False)
    with pytest.raises(FileNotFoundError, match='does not see .*which the first one has made; .*a file system that'):
        cache_folder(tmp_path, dict(seed=0))


def test_dense_logits_are_refused(config, tmp_path):
    context, stage = distil_stage(config(), tmp_path)
    distiller = SimpleNamespace(is_taught=True, terms={}, data_preprocessor=None)
    context.__dict__['logits_shape'] = (10, 4, 4)
    with pytest.raises(ValueError, match=r'one vector of logits an image, .* shape \(10, 4, 4\)'):
        check_cache(stage, distiller, context)


# --- between epochs ---

class Shared:
    """A cache of nine images in one view, of which another process writes rows as soon as it may."""

    def __init__(self, there=()):
        self.there, self.kept = set(there), {}

    def missing(self):
        return [image for image in range(9) if image not in self.there]

    def put(self, image, logits):
        assert image not in self.there, 'a row that is there stays as it is'
        self.there.add(image)
        self.kept[image] = logits


def end_of_epoch(cache, rank, monkeypatch, is_stream=False, renormalise=lambda x: x, between=lambda: None):
    """What a hook spends at the end of an epoch on one of two processes; ``between`` is what happens in a barrier."""
    spent, teacher = [], lambda inputs, mode: inputs
    distiller = SimpleNamespace(
        teachers=[teacher], renormalisations=[renormalise], data_preprocessor=lambda data, training: data,
        teacher_networks=[SimpleNamespace(cost=SimpleNamespace(macs=7))])
    loader = SimpleNamespace(dataset=[dict(inputs=torch.tensor([float(i)])) for i in range(9)],
                             collate_fn=lambda samples: samples[0])
    runner = SimpleNamespace(epoch=0, max_epochs=4, model=distiller, train_dataloader=loader,
                             optim_wrapper=SimpleNamespace(optim_context=lambda model: contextlib.nullcontext()))
    monkeypatch.setattr(teacher_cache, 'distiller_of', lambda model: model)
    monkeypatch.setattr(teacher_cache, 'get_rank', lambda: rank)
    monkeypatch.setattr(teacher_cache, 'get_world_size', lambda: 2)
    monkeypatch.setattr(teacher_cache, 'barrier', between)
    TeacherCacheHook([cache], 2, is_stream, spent.append).after_train_epoch(runner)
    return spent


def test_two_processes_share_what_an_epoch_has_dropped_and_both_know_what_it_costs(monkeypatch):
    """The quick one writes its rows between the other's look and its first question."""
    cache, passed = Shared(there=[8]), []

    def quick():
        passed.append(None)
        if len(passed) == 2:  # both have looked
            for image in (0, 2, 4, 6):
                cache.put(image, None)
    assert end_of_epoch(cache, 1, monkeypatch, between=quick) == [8 * 7]
    assert cache.missing() == []
    assert len(passed) == 3  # and none begins an epoch of the same view before the other has written


def test_a_teacher_of_another_normalisation_is_asked_in_its_own_when_an_epoch_ends(monkeypatch):
    cache = Shared()
    end_of_epoch(cache, 0, monkeypatch, renormalise=lambda x: 10 * x + 1)
    assert {image: logits.item() for image, logits in cache.kept.items()} == {0: 1., 2: 21., 4: 41., 6: 61., 8: 81.}


def test_a_stream_drops_no_image_and_asks_about_none_when_an_epoch_ends(monkeypatch):
    cache = Shared()
    assert end_of_epoch(cache, 0, monkeypatch, is_stream=True) == []
    assert cache.missing() == list(range(9))
