import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmamd.pipeline.config.compression import RecalibrationSettings
from mmamd.pipeline.config.settings import section_settings, teacher_settings
from mmamd.pipeline.inputs import fill_data_root, with_test_pipeline
from mmamd.pipeline.plain import digest, merge
from mmamd.seeds import derive_seed


def config(**extra):
    return Config(dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)), log_level='INFO',
                       joint=dict(train_cfg=dict(max_epochs=2)), **extra))


def test_a_stages_section_is_merged_over_the_top_level_key_by_key():
    student = section_settings(config(student=dict(
        train_cfg=dict(max_epochs=5), optim_wrapper=dict(optimizer=dict(lr=1e-4)))), 'student')
    assert student.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4)
    assert (student.train_cfg, student.log_level) == (dict(max_epochs=5), 'INFO')
    assert 'joint' not in student


def test_mixed_precision_at_the_top_level_reaches_a_stage_with_an_optimizer_of_its_own():
    cfg = config()
    cfg.joint.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-4))
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')  # what --amp does
    wrapper = section_settings(cfg, 'joint').optim_wrapper
    assert (wrapper.type, wrapper.loss_scale, wrapper.optimizer.lr) == ('AmpOptimWrapper', 'dynamic', 1e-4)


def test_mixed_precision_of_a_section_or_of_the_teachers_config_stays_where_the_top_level_has_none(tmp_path):
    mixed = dict(type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(type='SGD'))
    (tmp_path / 'teacher.py').write_text(f'optim_wrapper = {mixed}')
    cfg = config(teacher_config=str(tmp_path / 'teacher.py'))
    cfg.joint.optim_wrapper = mixed
    cfg.optim_wrapper.type = 'OptimWrapper'
    assert section_settings(cfg, 'joint').optim_wrapper == {**mixed, 'optimizer': dict(type='SGD', lr=1e-3)}
    assert teacher_settings(cfg).optim_wrapper == mixed


def test_the_length_of_a_section_takes_the_place_of_the_top_levels():
    cfg = config(train_cfg=dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000))
    assert section_settings(cfg, 'joint').train_cfg == dict(max_epochs=2)


def test_mixed_precision_data_and_rate_scaling_reach_the_teachers_training_too(tmp_path):
    (tmp_path / 'teacher.py').write_text(
        "optim_wrapper = dict(optimizer=dict(type='SGD'))\nauto_scale_lr = dict(base_batch_size=8)\n"
        "train_dataloader = dict(dataset=dict(type='CustomDataset'))")
    cfg = config(teacher_config=str(tmp_path / 'teacher.py'), data_root='elsewhere', auto_scale_lr=dict(enable=True))
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    teacher = teacher_settings(cfg)
    assert teacher.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD'))
    assert teacher.train_dataloader.dataset.data_root == 'elsewhere'
    assert teacher.auto_scale_lr == dict(base_batch_size=8, enable=True)


def test_a_checkpoint_to_resume_from_does_not_initialise_the_stages():
    assert 'load_from' not in section_settings(config(load_from='joint/epoch_2.pth', resume=True), 'joint')


def test_a_stage_without_an_optimizer_is_refused():
    with pytest.raises(ValueError, match="stage 'joint' has no optimizer; set optim_wrapper"):
        section_settings(Config(dict(optim_wrapper=dict(), joint=dict(train_cfg=dict(max_epochs=2)))), 'joint')


def test_one_data_root_reaches_every_data_set_that_names_none():
    cfg = Config(dict(data_root='here', val_dataloader=dict(dataset=dict(type='A', data_root='there')),
                      train_dataloader=dict(dataset=dict(type='Wrapper', dataset=dict(type='A')))))
    fill_data_root(cfg)
    assert cfg.train_dataloader.dataset.to_dict() == dict(type='Wrapper', dataset=dict(type='A', data_root='here'))
    assert cfg.val_dataloader.dataset.data_root == 'there'


def test_one_data_root_reaches_the_data_sets_of_a_section_too():
    cfg = config(data_root='here')
    cfg.joint.train_dataloader = dict(dataset=dict(type='Both', datasets=[dict(type='A'), dict(type='B')]))
    merged = section_settings(cfg, 'joint').train_dataloader.dataset
    assert [each.data_root for each in merged.datasets] == ['here', 'here']


def test_units_are_scored_on_training_images_read_as_test_images_are():
    train = dict(type='HoldOut', dataset=dict(type='A', split='train', pipeline=['crop', 'pack']))
    read = with_test_pipeline(train, dict(type='A', split='test', pipeline=['pack']))
    assert read == dict(type='HoldOut', dataset=dict(type='A', split='train', pipeline=['pack']))
    assert train['dataset']['pipeline'] == ['crop', 'pack']


KEYS = st.text(max_size=3)
VALUES = st.recursive(st.integers() | st.text(max_size=3) | st.none() | st.booleans(),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_digest_knows_values_and_not_the_order_of_keys_or_the_hosts_types(value):
    assert digest(value) == digest(dict(reversed(value.items()))) == digest(Config(dict(key=value)).key)
    assert digest({**value, 'new key': 1}) != digest(value)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1), st.sampled_from(['joint', 'student']), st.integers(0, 500), st.integers(0, 64))
def test_a_seed_of_its_own_for_every_stage_epoch_and_rank(seed, stage, epoch, rank):
    own = derive_seed(seed, stage, epoch, rank)
    assert own == derive_seed(seed, stage, epoch, rank)
    assert 0 <= own < 2**31
    others = [(seed + 1, stage, epoch, rank), (seed, 'joint_2', epoch, rank), (seed, stage, epoch + 1, rank),
              (seed, stage, epoch, rank + 1)]
    assert own not in [derive_seed(*other) for other in others]


@pytest.mark.parametrize('num_images, available, used', [(70, 500, 64), (70, 40, 32), (10, 500, 10), (64, 64, 64)])
def test_recalibration_leaves_out_a_last_batch_that_is_not_full(num_images, available, used):
    assert RecalibrationSettings(num_images=num_images, batch_size=32).num_used(available) == used


def test_what_is_merged_replaces_a_dict_where_it_says_so():
    base = dict(logit=dict(type='A', temperature=2.), feat=dict(type='B'))
    over = dict(logit=dict(_delete_=True, type='C'), new=dict(_delete_=True, type='D'), feat=dict(weight=0))
    assert merge(base, over) == dict(logit=dict(type='C'), feat=dict(type='B', weight=0), new=dict(type='D'))
    assert base['logit'] == dict(type='A', temperature=2.)
