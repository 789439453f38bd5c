"""Terms that prepare a distillation stand in the section ``pretrain``, and what they learn is used after it."""

import json

import pytest
import torch

import mmamd
from mmamd.files.checkpoint import read_checkpoint
from mmamd.weights.checkpoint import read_weights

KD = {'method.type': 'mmamd.KD'}
PRETRAIN = dict(train_cfg=dict(max_epochs=1), trains='losses',
                losses=dict(ft=dict(learns='paraphraser', weight=1.)))
FT = dict(type='mmamd.FTLoss')
SSKD = dict(type='mmamd.SSKDLoss')


@pytest.mark.parametrize('overrides, message', [
    ({'model.losses.ab': dict(type='mmamd.ABLoss')}, 'losses.ab: this ABLoss prepares a distillation; name it in '
                                                     'pretrain.losses, beside pretrain.train_cfg, and leave it out'),
    ({'student.losses': dict(ft=dict(FT, learns='paraphraser'))},
     'student.losses.ft: this FTLoss prepares a distillation'),
    ({'student.losses': dict(ft=FT)}, 'student.losses.ft: this FTLoss needs what a term of its name learns before; '
                                      'give the config a section pretrain='),
    ({'student.losses': dict(ft=FT), 'pretrain': dict(PRETRAIN, losses=dict(ft=FT))},
     'student.losses.ft: this FTLoss needs what'),
    ({'student.losses': dict(sskd=SSKD)}, 'student.losses.sskd: this SSKDLoss needs what a term of its name learns '
                                          'before; give the config a section pretrain='),
    ({'student.losses': dict(ft=FT), 'pretrain': dict(PRETRAIN, losses=dict(other=dict(FT, learns='paraphraser')))},
     'student.losses.ft: this FTLoss needs what')])
def test_a_term_out_of_its_place_is_refused_before_anything_is_written(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**KD, **overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_boundaries_paraphraser_and_head_are_trained_first_and_the_latter_two_left_as_they_are(tiny_config, tmp_path):
    pretrain = dict(PRETRAIN, trains='student', losses=dict(
        ft=dict(FT, **PRETRAIN['losses']['ft']), sskd=dict(SSKD, learns='head'), ab=dict(type='mmamd.ABLoss'),
        ce=dict(weight=0.), logit=dict(weight=0.), feat=dict(weight=0.)))
    losses = dict(ft=FT, sskd=SSKD)
    summary = mmamd.compress(tiny_config(**KD, pretrain=pretrain, **{'student.losses': losses}), work_dir=tmp_path)
    before, after = (read_checkpoint(tmp_path / stage / 'terms.pth') for stage in ('pretrain_student', 'student'))
    for name, learnt_now in (('ft', 'translator'), ('sskd', 'student')):
        kept = {key for key in before[name] if torch.equal(before[name][key], after[name][key])}
        assert kept == {key for key in before[name] if learnt_now not in key} != set(), name
    start, trained = (read_weights(str(tmp_path / file)) for file in ('nest/reordered.pth',
                                                                      'pretrain_student/trained.pth'))
    moved = {key for key in trained if not torch.equal(start[key], trained[key])}
    assert any('backbone.layers' in key for key in moved) and not any(key.startswith('head') for key in moved)
    # Turned images are three more passes of the teacher in both stages, and of the student in the second.
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    planned = json.loads((tmp_path / 'stages.json').read_text())['stages']
    for stage, epochs, passes in (('pretrain_student', 1, 1), ('student', 3, 4)):
        assert summary['stages'][stage]['macs'] == epochs * 160 * (4 * teacher + 3 * passes * student)
        # A plan takes the student's nominal scale, and the three images that an epoch drops.
        assert planned[stage]['planned_macs'] == pytest.approx(epochs * 163 * (4 + 3 * passes * 0.3) * teacher)
