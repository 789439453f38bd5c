"""What bad input gets: an error that names the value and the fix, before any training, and nothing written."""

import shutil

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict

import mmamd
from mmamd.distillation import mixed_precision
from mmamd.pipeline import MultiStepRunner
from mmamd.pipeline.state import RunState

NPSD = dict(type='mmamd.NPSDSelectionHook')


def refused(config, match, work_dir, error=ValueError):
    """The run raises, and has not even made its folder."""
    with pytest.raises(error, match=match):
        mmamd.compress(config, work_dir=work_dir)
    assert not work_dir.exists()


# --- candidates ---

@pytest.mark.parametrize('compression, match', [
    (dict(student_scale=0), 'student_scale must be a finite number above 0 and below 1, got 0; '),
    (dict(student_scale=1.0), 'student_scale must be .* below 1, got 1.0; '),
    (dict(student_scale=-0.3), 'student_scale must be .* below 1, got -0.3; '),
    (dict(student_scale=1.7, scales=[0.5]), 'student_scale must be .* below 1, got 1.7; '),
    # Embedding and head take 4 x 3 x 16 x 32 + 32 x 10 = 6,464 MACs of 132,544, a share of 0.0488.
    (dict(student_scale=0.04), "scale 0.04 lies below the network's fixed part.* 6464 of 132544 .* 0.0488; use"),
    (dict(num_candidates=0), 'num_candidates must be a positive integer and at most 99, got 0; leave it out for 9'),
    (dict(student_scale=0.8), 'no candidate above the student.*0.75, the student scale is 0.8; raise num_candidates'),
    (dict(scales=[]), 'no candidate above the student'),
    (dict(scales=[0.2, 0.5]), r'scales must ascend from the student, got 0.2 after 0.3'),
    (dict(scales=[0.5, 0.5]), 'scales must be distinct, got 0.5 twice'),
    (dict(num_assistants=1), r'compression.num_assistants was the key of an earlier version; write method=dict.*KD'),
    (dict(student=0.1), 'compression.student was the key of an earlier version; write compression.student_scale'),
    # A block of the two has 63,040 MACs, which makes 0.5244 with what stays.
    (dict(prune=('block',)), "scale 0.3 leaves no block at all with scale_by='flops' .*; use a larger scale"),
    (dict(scale_by='size'), "scale_by must be one of .*'params'.*got 'size'; leave it out for 'flops'"),
    (dict(student_sale=0.1), "compression has no key 'student_sale'. Did you mean student_scale.*Expected some of"),
    (dict(importance=dict(images=5)), r"importance has no key 'images'.*Expected some of .*'num_images'"),
    (dict(importance=dict(num_images=0)), 'importance.num_images must be a positive integer, got 0'),
], ids=str)
def test_a_compression_that_cannot_be_is_refused(tiny_config, tmp_path, compression, match):
    refused(tiny_config(compression=compression), match, tmp_path / 'run')


def test_a_config_without_a_compression_is_told_the_least_it_needs(tiny_config, tmp_path):
    config = tiny_config()
    config.pop('compression')
    refused(config, r"no section 'compression'; at least compression=dict\(student_scale=0.10\)", tmp_path / 'run')


# --- losses ---

@pytest.mark.parametrize('losses, match', [
    (dict(ce=dict(weight=0.), logit=dict(weight=0.), feat=dict(weight=0.)),
     'all loss weights are 0.*Make at least one positive'),
    (dict(feat=dict(weight=-1.)), 'losses.feat: weight must be a finite number >= 0, got -1.0'),
    (dict(logit=dict(temperature=-2.)), 'losses.logit: temperature must be a positive finite number, got -2.0'),
    (dict(ce=0.5), r'losses.ce=0.5 is no term: .*write losses.ce=dict'),
    (dict(logit=dict(type='mmamd.DKDLos')), "losses.logit: there is no term of type .*Did you mean mmamd.DKDLoss"),
    (dict(feat=dict(layers=[0, 3])), r'layers has 3, got \[0, 3\]; expected different integers within 0..2'),
    (dict(feat=dict(layers=[-1])), r'layers has -1.*within 0..2 \(0 is the embedding\)'),
], ids=str)
def test_losses_that_train_nothing_or_do_not_exist_are_refused(tiny_config, tmp_path, losses, match):
    refused(tiny_config(**{'model.losses': losses}), match, tmp_path / 'run')


# --- the teacher ---

def test_an_absent_teacher_is_refused(tiny_config, tmp_path):
    refused(tiny_config(**{'model.teacher': str(tmp_path / 'no.pth')}),
            "no weights at .*no.pth.*configs/teacher/, and named by model.teacher", tmp_path / 'run',
            FileNotFoundError)


@pytest.mark.parametrize('key, shape, match', [
    ('head.fc.weight', (7, 32), r'head.fc.weight is \(7, 32\) in the checkpoint and \(10, 32\) in the network'),
    ('backbone.layers.1.ffn.layers.1.weight', (32, 64), r'1.weight is \(32, 64\) in the checkpoint and \(32, 128\)'),
    ('backbone.layers.0.attn.qkv.weight', None, r'layers.0.attn.qkv.weight is missing'),
    ('backbone.layers.2.ln1.weight', (32,), r'layers.2.ln1.weight is unexpected'),
])
def test_a_teacher_of_another_architecture_or_class_count_is_refused(tiny_config, teacher, tmp_path, key, shape, match):
    state = torch.load(teacher)['state_dict']
    state.pop(key, None)
    if shape is not None:
        state[key] = torch.zeros(shape)
    torch.save({'state_dict': state}, tmp_path / 'other.pth')
    refused(tiny_config(**{'model.teacher': str(tmp_path / 'other.pth')}),
            match + '.*model.architecture that of the checkpoint', tmp_path / 'run')


def test_a_teacher_config_of_another_network_is_refused_before_it_is_trained(tiny_config, tmp_path):
    config = tiny_config(**{'model.teacher': None, 'model.architecture.backbone.arch.feedforward_channels': 64})
    refused(config, r'trains another network than model.architecture: backbone.layers.0.ffn.* is \(128, 32\) there and '
            r'\(64, 32\) here', tmp_path / 'run')


@pytest.mark.parametrize('teacher_config, match, error', [
    (None, 'there is no teacher: set model.teacher to a checkpoint, or teacher_config', ValueError),
    ('no_such.py', "teacher_config='no_such.py' is not a file", FileNotFoundError)])
def test_a_config_without_any_teacher_is_refused(tiny_config, tmp_path, teacher_config, match, error):
    refused(tiny_config(**{'model.teacher': None, 'teacher_config': teacher_config}), match, tmp_path / 'run', error)


@pytest.mark.parametrize('fill, match', [
    (float('nan'), 'importance of layers.0.head is nan at unit 0.*check the teacher checkpoint'),
    # Without an output projection no head reaches the loss.
    (0., 'importance of layers.0.head is zero for all 4 units, so they cannot be ranked; check that the teacher')])
def test_a_teacher_whose_units_cannot_be_ranked_is_refused_before_they_are(tiny_config, teacher, tmp_path, fill, match):
    state = torch.load(teacher)['state_dict']
    state['backbone.layers.0.attn.proj.weight'].fill_(fill)
    torch.save({'state_dict': state}, tmp_path / 'broken.pth')
    with pytest.raises(ValueError, match=match):
        mmamd.compress(tiny_config(**{'model.teacher': str(tmp_path / 'broken.pth')}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run' / 'score' / 'importance.json').exists()
    assert not (tmp_path / 'run' / 'joint').exists()


# --- selection and schedules ---

@pytest.mark.parametrize('hooks, match', [
    ([dict(NPSD, metric='accuracy/top5')], r"by the metric 'accuracy/top5', but val_evaluator computes "
                                           r"\['accuracy/top1'\]; set metric= of an NPSDSelectionHook"),
    ([dict(NPSD, rule='npsdd')], "unknown rule 'npsdd'; expected one of npsd.*Did you mean npsd"),
    ([NPSD, NPSD], 'expected one NPSDSelectionHook in custom_hooks, got 2'),
    ([dict(NPSD, rulle='npsd')], "NPSDSelectionHook has no key 'rulle'. Did you mean rule"),
    ([], 'expected one NPSDSelectionHook in custom_hooks to choose the assistant, got 0'),
    ([dict(NPSD, rule='manual', scale=0.6)], r"rule='manual' got scale=0.6; expected .*0.50, 0.75"),
    ([NPSD, dict(type='mmamd.SandwichSparsityHook', sampler='every')], "unknown candidate sampler 'every'"),
])
def test_hooks_that_cannot_choose_an_assistant_are_refused(tiny_config, tmp_path, hooks, match):
    refused(tiny_config(custom_hooks=hooks), match, tmp_path / 'run')


def test_the_baseline_refuses_an_unknown_metric_too_because_its_student_is_reported_by_it(tiny_config, tmp_path):
    config = tiny_config(custom_hooks=[dict(NPSD, metric='accuracy/top5')], **{'method.type': 'mmamd.KD'})
    refused(config, "by the metric 'accuracy/top5', but test_evaluator computes", tmp_path / 'run')


@pytest.mark.parametrize('overrides, match', [
    ({'optim_wrapper.accumulative_counts': 2}, 'accumulative_counts must stay 1.*got 2'),
    ({'joint.train_cfg': dict(_delete_=True, by_epoch=False, max_iters=100)},
     "'joint' counts steps, so it needs epoch_iters that divide them"),
    ({'student': dict(_delete_=True)}, "no schedule for the stage 'student'.*max_epochs"),
    ({'load_from': 'x.pth'}, "load_from='x.pth' is not read by MultiStepRunner.*model.teacher"),
    ({'model.type': 'ImageClassifier'}, "needs model=dict.type='mmamd.AMDDistiller'.*got 'ImageClassifier'")])
def test_schedules_and_models_that_the_pipeline_cannot_run_are_refused(tiny_config, tmp_path, overrides, match):
    refused(tiny_config(**overrides), match, tmp_path / 'run')


def test_halving_with_no_epoch_after_it_is_refused(tiny_config, tmp_path):
    hooks = [NPSD, dict(type='mmamd.SandwichSparsityHook', halve_after=[1, 3])]
    refused(tiny_config(custom_hooks=hooks), r'halve_after=\[1, 3\] leaves no epoch of 3 after the last halving',
            tmp_path / 'run')


def test_halving_that_a_budget_leaves_no_epoch_for_is_refused_before_anything_runs(tiny_config, tmp_path):
    hooks = [NPSD, dict(type='mmamd.SandwichSparsityHook', halve_after=[2])]
    refused(tiny_config(custom_hooks=hooks, **{'compression.budget': 2.}),
            r'halve_after=\[2\] leaves no epoch of [12] after .* compression.budget may have shortened it',
            tmp_path / 'run')


def test_halving_by_a_loss_that_is_not_computed_is_refused(tiny_config, tmp_path):
    hooks = [NPSD, dict(type='mmamd.SandwichSparsityHook', halve_after=[1])]
    refused(tiny_config(custom_hooks=hooks, **{'model.losses.logit.weight': 0.}),
            r'halve_after=\[1\] judges candidates by their logit loss.*set losses.logit.weight', tmp_path / 'run')


def test_test_images_of_another_size_than_the_costs_are_refused(tiny_config, tmp_path):
    pipeline = [dict(type='CenterCrop', crop_size=6), dict(type='PackInputs')]
    refused(tiny_config(**{'test_dataloader.dataset.pipeline': pipeline}),
            r'test images have shape \(3, 6, 6\).*costs for \(3, 8, 8\).*img_size=\(6, 6\)', tmp_path / 'run')


def test_synchronised_batch_norms_are_refused(tiny_config, tmp_path):
    refused(tiny_config(sync_bn='torch'), "sync_bn='torch' would exchange.*compression.recalibration",
            tmp_path / 'run')


def test_float16_without_a_gpu_is_refused(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(mixed_precision, 'get_device', lambda: 'cpu')
    refused(tiny_config(**{'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': 'float16'}),
            "dtype='float16' needs a GPU.*or run without --amp", tmp_path / 'run')


# --- data ---

def image_folder(root, files=('c0/a.png', 'c1/b.png'), lines=None, write=True):
    """A CustomDataset of this layout: ``train/<class>/<file>`` and ``train.txt``."""
    for name in files:
        path = root / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if write:
            mmcv.imwrite(np.zeros((8, 8, 3), np.uint8), str(path))
    if lines is not None:
        root.mkdir(exist_ok=True)
        (root / 'train.txt').write_text(lines)


def with_folder(config, root, ann_file='train.txt'):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    config.train_dataloader.dataset = ConfigDict(
        type='CustomDataset', data_root=str(root), data_prefix='train', ann_file=ann_file, pipeline=pipeline)
    return config


@pytest.mark.parametrize('ann_file', ['train.txt', ''])
def test_an_absent_data_set_is_refused_with_its_folder_and_the_expected_layout(tiny_config, tmp_path, ann_file):
    refused(with_folder(tiny_config(), tmp_path / 'none', ann_file),
            r'(?s)cannot read the train data set CustomDataset .*none.*Expected images under data_root/data_prefix.*'
            r'"<class>/<file> <label>".*one folder a class.*set data_root, e.g. --cfg-options', tmp_path / 'run',
            FileNotFoundError)


def test_a_listed_image_that_is_absent_is_refused(tiny_config, tmp_path):
    image_folder(tmp_path / 'data', lines='c0/a.png 0\nc1/b.png 1\n', write=False)
    refused(with_folder(tiny_config(), tmp_path / 'data'), 'cannot read the train data set.*a.png', tmp_path / 'run',
            FileNotFoundError)


@pytest.mark.parametrize('ann_file, error', [('train.txt', ValueError), ('', FileNotFoundError)])
def test_an_empty_data_set_is_refused(tiny_config, tmp_path, ann_file, error):
    image_folder(tmp_path / 'data', files=(), lines='')
    (tmp_path / 'data' / 'train').mkdir()
    refused(with_folder(tiny_config(), tmp_path / 'data', ann_file),
            '(?s)cannot read the train data set CustomDataset .*data.*Expected images', tmp_path / 'run', error)


def test_labels_beyond_the_head_are_refused(tiny_config, tmp_path):
    image_folder(tmp_path / 'data', lines='c0/a.png 0\nc1/b.png 10\n')
    refused(with_folder(tiny_config(), tmp_path / 'data'), r'has label 10 but the head has 10 classes \(0 to 9\)',
            tmp_path / 'run')


def test_another_number_of_classes_than_the_heads_is_refused(tiny_config, tmp_path):
    image_folder(tmp_path / 'data')
    refused(with_folder(tiny_config(), tmp_path / 'data', ann_file=''), 'has 2 classes but the head has 10; set',
            tmp_path / 'run')


def test_a_missing_split_is_refused(tiny_config, tmp_path):
    refused(tiny_config(val_dataloader=None), r'has no val_dataloader; expected .*held-out training images \(val\)',
            tmp_path / 'run')


# --- the work_dir ---

@pytest.fixture
def refused_in(finished_run, contents):
    """Function that starts a config in the finished run's folder and sees it refused with nothing changed there."""
    def start(config, match):
        work_dir, _ = finished_run
        before = contents(work_dir)
        with pytest.raises(ValueError, match=match):
            mmamd.compress(config, work_dir=work_dir)
        assert contents(work_dir) == before

    return start


@pytest.mark.parametrize('overrides, match', [
    ({'compression.student_scale': 0.35}, "a stage 'nest' .* changed since: scales. Redo it with --start-from nest"),
    ({'joint.train_cfg.max_epochs': 4},
     "a stage 'joint' .* changed since: schedule.train_cfg. Redo it with --start-from joint"),
    ({'student.optim_wrapper': dict(optimizer=dict(lr=1e-4))}, "'student' .* changed since: schedule.optim_wrapper"),
    ({'model.losses.feat.weight': 0.5}, "a stage 'joint' .* changed since: losses.feat"),
    ({'compression.importance.num_images': 32}, "'score' .* changed since: importance.num_images"),
    ({'train_dataloader.dataset.dataset.indices': 150}, "'score' .* changed since: images"),
    ({'randomness.seed': 1}, "'score' .* changed since: seed"),
    ({'model.architecture.backbone.drop_path_rate': 0.2}, "'score' .* changed since: architecture.backbone"),
], ids=lambda value: '' if isinstance(value, str) else next(iter(value)))
def test_a_finished_stage_of_other_inputs_is_refused_with_what_changed(refused_in, tiny_config, overrides, match):
    refused_in(tiny_config(**overrides), match)


def test_a_changed_teacher_file_is_noticed_by_its_content(refused_in, tiny_config, teacher, tmp_path):
    state = torch.load(teacher)['state_dict']
    state['head.fc.bias'] += 1
    torch.save({'state_dict': state}, tmp_path / 'teacher.pth')
    refused_in(tiny_config(**{'model.teacher': str(tmp_path / 'teacher.pth')}), "'score' .* changed since: teacher")


@pytest.mark.parametrize('overrides', [
    {'default_hooks.logger.interval': 7}, {'log_level': 'WARNING'}, {'visualizer.name': 'other'}], ids=str)
def test_logging_is_no_input_of_a_stage(finished_run, tiny_config, overrides):
    work_dir, summary = finished_run
    assert mmamd.compress(tiny_config(**overrides), work_dir=work_dir) == summary


def test_an_unknown_stage_to_start_from_is_refused(refused_in, tiny_config):
    refused_in(tiny_config(start_from='distill'), r"--start-from distill: there is no such stage; .*'score', 'nest', "
               r"'joint', 'select', 'student', 'export'")


def test_starting_from_a_late_stage_keeps_it_while_an_earlier_one_has_changed(refused_in, tiny_config):
    config = tiny_config(start_from='student', **{'joint.train_cfg.max_epochs': 4})
    refused_in(config, "a stage 'joint' .* changed since: schedule.train_cfg")


def test_starting_from_a_stage_whose_forerunners_are_not_finished_is_refused(tiny_config, tmp_path):
    refused(tiny_config(start_from='student'), r"\['score', 'nest', 'joint', 'select'\] before it are not "
            'finished; start from score', tmp_path / 'run')


def test_nothing_to_resume_is_refused(tiny_config, tmp_path):
    refused(tiny_config(resume=True), 'nothing to resume: .*run holds no stages.json; leave --resume out',
            tmp_path / 'run', FileNotFoundError)


def test_a_folder_of_something_else_is_left_alone(tiny_config, contents, tmp_path):
    (tmp_path / 'student').mkdir()
    (tmp_path / 'student' / 'marks.txt').write_text('A')
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match=r"holds \['student'\] of something that is not a run.*--work-dir"):
        mmamd.compress(tiny_config(), work_dir=tmp_path)
    assert contents(tmp_path) == before


def test_a_checkpoint_of_another_stage_is_no_place_to_resume_from(finished_run, tiny_config, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(finished_run[0], work_dir)
    state = RunState(work_dir)
    state.content['stages']['student']['finished'] = False
    state.save()
    config = tiny_config(resume=True, load_from=str(work_dir / 'joint' / 'epoch_3.pth'))
    with pytest.raises(ValueError, match="expected a checkpoint of the interrupted stage 'student'"):
        mmamd.compress(config, work_dir=work_dir)


def test_a_checkpoint_to_resume_from_is_refused_when_no_stage_was_interrupted(refused_in, tiny_config, finished_run):
    checkpoint = finished_run[0] / 'joint' / 'epoch_3.pth'
    refused_in(tiny_config(resume=True, load_from=str(checkpoint)), 'no stage of .* was interrupted; leave the')


def test_a_work_dir_with_stages_that_the_config_lacks_is_refused(refused_in, tiny_config):
    # Plain distillation has no joint and no select stage.
    refused_in(tiny_config(**{'method.type': 'mmamd.KD'}),
               r"holds the stages \['joint', 'select'\] of another method, AMD, which this KD does not have")


def test_a_student_of_another_method_is_not_taken_over(finished_run, tiny_config, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(finished_run[0], work_dir)
    state = RunState(work_dir)
    for stage in ('joint', 'select'):  # as plain distillation leaves it
        del state.content['stages'][stage]
    state.save()
    with pytest.raises(ValueError, match=r"holds \['student', 'export'\], made without the stage 'joint'"):
        mmamd.compress(tiny_config(), work_dir=work_dir)


def test_a_run_without_a_work_dir_is_refused(tiny_config):
    with pytest.raises(ValueError, match='work_dir is not set; give --work-dir'):
        MultiStepRunner.from_cfg(tiny_config())
