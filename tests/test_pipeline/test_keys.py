"""A key that nothing reads is refused, with the one that was probably meant; nothing is dropped in silence."""

import pytest

import mmamd


@pytest.mark.parametrize('overrides, message', [
    ({'joint.optim_wraper': {}}, "joint has no key 'optim_wraper'. Did you mean optim_wrapper"),
    ({'student.max_epochs': 3}, "student has no key 'max_epochs'.*Expected some of"),
    ({'student.val_dataloader': {}}, "student has no key 'val_dataloader'"),
    ({'teacher': dict(losses={})}, "teacher has no key 'losses'"),
    ({'pretrain': dict(train='student')}, "pretrain has no key 'train'. Did you mean trains"),
    ({'compresion': dict()}, "the config has a key 'compresion', which nothing reads; did you mean 'compression'"),
    ({'train_dataloder': dict()}, "did you mean 'train_dataloader'"),
    ({'model.student_architecture': {}}, 'model.student_architecture was the key of an earlier version; write '
                                         'compression.student_architecture'),
    ({'model.connect': []}, 'model.connect was the key of an earlier version; write student.losses.feat.layers'),
    ({'joint.custom_hooks': [dict(type='mmamd.SandwichSparsityHook')]},
     'joint.custom_hooks has a mmamd.SandwichSparsityHook, which says how candidates are drawn or chosen; name it in '
     'custom_hooks at the top level')])
def test_it_is_refused_before_anything_is_written(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_variables_of_a_config_are_not_taken_for_keys(tiny_config):
    from mmamd.pipeline.config.keys import check_config
    check_config({**tiny_config(), 'num_classes': 10, 'read': [], 'test_pipeline': [], 'norm_cfg': {}, 'folder': {}})


@pytest.mark.slow
def test_the_section_teacher_is_merged_over_the_config_that_trains_it(tiny_config, tmp_path):
    summary = mmamd.compress(tiny_config(**{
        'model.teacher': None, 'teacher': dict(train_cfg=dict(max_epochs=1)), 'method.type': 'mmamd.KD',
        'student.train_cfg.max_epochs': 1}), work_dir=tmp_path)
    assert [path.name for path in (tmp_path / 'teacher').glob('epoch_*.pth')] == ['epoch_1.pth']
    assert summary['cost']['trainings'] == 2
