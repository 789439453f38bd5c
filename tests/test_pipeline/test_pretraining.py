"""Terms that prepare a distillation stand in the section ``pretrain``, and what they learn is used after it."""

import pytest
import torch

import mmamd
from mmamd.files.checkpoint import read_checkpoint
from mmamd.weights.checkpoint import read_weights

KD = {'method.type': 'mmamd.KD'}
PRETRAIN = dict(train_cfg=dict(max_epochs=1), trains='losses',
                losses=dict(ft=dict(learns='paraphraser', weight=1.)))
FT = dict(type='mmamd.FTLoss')


@pytest.mark.parametrize('overrides, message', [
    ({'model.losses.ab': dict(type='mmamd.ABLoss')}, 'losses.ab: this ABLoss prepares a distillation; name it in '
                                                     'pretrain.losses, beside pretrain.train_cfg, and leave it out'),
    ({'student.losses': dict(ft=dict(FT, learns='paraphraser'))},
     'student.losses.ft: this FTLoss prepares a distillation'),
    ({'student.losses': dict(ft=FT)}, 'student.losses.ft: this FTLoss needs what a term of its name learns before; '
                                      'give the config a section pretrain='),
    ({'student.losses': dict(ft=FT), 'pretrain': dict(PRETRAIN, losses=dict(ft=FT))},
     'student.losses.ft: this FTLoss needs what'),
    ({'student.losses': dict(ft=FT), 'pretrain': dict(PRETRAIN, losses=dict(other=dict(FT, learns='paraphraser')))},
     'student.losses.ft: this FTLoss needs what')])
def test_a_term_out_of_its_place_is_refused_before_anything_is_written(tiny_config, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(**KD, **overrides), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_boundaries_and_paraphraser_are_trained_first_and_the_paraphraser_is_left_as_it_is(tiny_config, tmp_path):
    pretrain = dict(PRETRAIN, trains='student', losses=dict(
        ft=dict(FT, **PRETRAIN['losses']['ft']), ab=dict(type='mmamd.ABLoss'), ce=dict(weight=0.),
        logit=dict(weight=0.), feat=dict(weight=0.)))
    mmamd.compress(tiny_config(**KD, pretrain=pretrain, **{'student.losses': dict(ft=FT)}), work_dir=tmp_path)
    before, after = (read_checkpoint(tmp_path / stage / 'terms.pth')['ft'] for stage in ('pretrain_student', 'student'))
    kept = {key for key in before if torch.equal(before[key], after[key])}
    assert kept == {key for key in before if 'translator' not in key}
    start, trained = (read_weights(str(tmp_path / file)) for file in ('nest/reordered.pth',
                                                                      'pretrain_student/trained.pth'))
    moved = {key for key in trained if not torch.equal(start[key], trained[key])}
    assert any('backbone.layers' in key for key in moved) and not any(key.startswith('head') for key in moved)
