"""What the modules of a term compute for an image is counted: by hand here, of states of two networks."""

from dataclasses import replace

import pytest
import torch
import torch.nn as nn
from pairs import STAGES, built, cnn_distiller, external_distiller

from mmamd.distillation.losses.ab import ABLoss
from mmamd.distillation.losses.at import ATLoss
from mmamd.distillation.losses.feature import FeatureLoss
from mmamd.distillation.losses.fitnet import FitNetLoss
from mmamd.distillation.losses.ft import FTLoss
from mmamd.distillation.losses.loss import Loss, count_macs
from mmamd.distillation.losses.mgd import MGDLoss
from mmamd.distillation.losses.reviewkd import ReviewKDLoss
from mmamd.distillation.losses.vid import VIDLoss
from mmamd.distillation.losses.vitkd import ViTKDLoss
from mmamd.registry import MODELS
from mmamd.structures import Cost

# Maps of 4 x 4 positions, 3 channels of the student and 5 of the teacher; 3 x 3 convolutions take 9 products.
P, OWN, WIDTH = 16, 3, 5
PAIR = ('own', 'other')


def of_maps(term):
    return {'own': torch.ones(1, OWN, 4, 4)}, {'other': torch.ones(1, WIDTH, 4, 4)}


@pytest.mark.parametrize('term, expected', [
    (FeatureLoss(layers=[PAIR]), 3 * P * OWN * WIDTH),  # a linear map; a backward pass is two forward passes
    (FitNetLoss(layer=PAIR), 3 * P * OWN * WIDTH),
    (ABLoss(layers=[PAIR]), 3 * P * OWN * WIDTH),
    (ATLoss(layers=[PAIR]), 0),
    (VIDLoss(layers=[PAIR]), 3 * P * (OWN * WIDTH + 2 * WIDTH**2)),  # three maps
    # The map, and a generator of two convolutions.
    (MGDLoss(layer=PAIR), 3 * P * (OWN * WIDTH + 2 * 9 * WIDTH**2)),
    # The translator with its backward pass, to 2 factors; the paraphraser, which does not learn, once.
    (FTLoss(layer=PAIR), P * 9 * (3 * (OWN**2 + OWN * 2 + 2**2) + WIDTH**2 + WIDTH * 2 + 2**2)),
    # Pre-trained: the paraphraser and its way back. The teacher's state takes no gradient, so that the first
    # convolution's backward pass is one forward pass.
    (FTLoss(layer=PAIR, learns='paraphraser'),
     P * 9 * (2 * WIDTH**2 + 3 * (WIDTH * 2 + 2**2) + 3 * (2**2 + 2 * WIDTH + WIDTH**2))),
    # The deepest fusion, of as many inner channels as the student has: into them, and a convolution out of them.
    (ReviewKDLoss(layers=[PAIR]), 3 * P * (OWN**2 + 9 * OWN * WIDTH))])
def test_by_hand(term, expected):
    assert count_macs(*_one_teacher(built(term, *of_maps(term)))) == expected


def test_two_levels_of_reviewkd_by_hand():
    term, *outputs = built(ReviewKDLoss(layers=[('a', 'b'), ('c', 'd')]),
                           {'a': torch.ones(1, 2, 4, 4), 'c': torch.ones(1, OWN, 2, 2)},
                           {'b': torch.ones(1, 2, 4, 4), 'd': torch.ones(1, WIDTH, 2, 2)})
    deep = 4 * (OWN**2 + 9 * OWN * WIDTH)
    # Into the deepest state's channels, attention from both to two shares, and out to the teacher's two channels.
    shallow = P * (2 * OWN + 2 * OWN * 2 + 9 * OWN * 2)
    assert count_macs(*_one_teacher((term, *outputs))) == 3 * (deep + shallow)


def test_tokens_of_vitkd_by_hand():
    # 4 patches and a class token, which is left out; two mimicked states and the generator's of two convolutions.
    pairs = [('a', 'b'), ('c', 'd'), ('e', 'f')]
    term, *outputs = built(ViTKDLoss(shallow=pairs[:2], deep=pairs[2]),
                           {name: torch.ones(1, 5, OWN) for name in 'ace'},
                           {name: torch.ones(1, 5, WIDTH) for name in 'bdf'})
    assert count_macs(*_one_teacher((term, *outputs))) == 3 * 4 * (3 * OWN * WIDTH + 2 * 9 * WIDTH**2)


def _one_teacher(found):
    term, student, teacher = found
    student.logits = torch.zeros(1, 2)
    return term, student, [teacher]


def macs(distiller):
    """Of a step, with a teacher of 1,000 and a student of 10."""
    distiller.teacher_networks = [replace(each, cost=Cost(1000, 0)) for each in distiller.teacher_networks]
    return distiller.macs([replace(each, cost=Cost(10, 0)) for each in distiller.candidates])


def test_a_distiller_counts_them_and_leaves_modules_and_gradients_as_they_were():
    distiller = external_distiller({'vid': dict(type='mmamd.VIDLoss', layers=STAGES)})
    term = distiller.terms['vid']
    assert term.macs > 0 and all(module.training for module in term.modules())
    assert all(parameter.grad is None for parameter in distiller.parameters())
    assert macs(distiller) == 1000 + 3 * 10 + term.macs


def test_heads_of_sskd_by_hand():
    losses = {'ce': dict(type='mmamd.TaskLoss'), 'sskd': dict(type='mmamd.SSKDLoss')}
    term = cnn_distiller(losses, num_candidates=1).terms['sskd']
    # Of 64 features two layers of 64, of the image and its three turns: the student's learns, the teacher's runs.
    assert term.macs == 4 * (3 + 1) * 2 * 64**2


def test_a_term_that_no_gradient_takes_to_the_student_counts_one_pass_of_it():
    """FT's paraphraser is trained by the teacher's states alone, whoever the student is."""
    layer = ('backbone.stages.2', 'backbone.stages.2')
    losses = {'ft': dict(type='mmamd.FTLoss', layer=layer, learns='paraphraser')}
    distiller = cnn_distiller(losses, num_candidates=1)
    assert not distiller.is_trained
    assert macs(distiller) == 1000 + 10 + distiller.terms['ft'].macs


@pytest.mark.parametrize('needs_teacher', [True, False])
def test_a_term_of_ones_own_is_counted_with_what_it_makes_ahead_or_without_a_teacher(needs_teacher, monkeypatch):
    class Own(Loss):
        def build(self, student, teachers, num_images):
            self.map = nn.Linear(3, 7)

        def ahead(self, teacher):
            teacher.made[self] = teacher.logits.softmax(1)

        def compare(self, student, teacher, index):
            assert (teacher is None) == (not self.needs_teacher)
            return {'loss': self.map(student.logits if teacher is None else teacher.made[self]), 'seen': 1.}

    monkeypatch.setattr(Own, 'needs_teacher', needs_teacher)
    MODELS.register_module(name='OwnOfATest', module=Own, force=True)
    try:
        term = cnn_distiller({'own': dict(type='mmamd.OwnOfATest'), 'ce': dict(type='mmamd.TaskLoss')}).terms['own']
    finally:
        MODELS.module_dict.pop('OwnOfATest')
    # What is of the teacher has no gradient of its own, so that its map's backward pass is one forward pass.
    assert term.macs == (2 if needs_teacher else 3) * 3 * 7
