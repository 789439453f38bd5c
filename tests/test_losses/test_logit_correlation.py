"""Which classes go together for student and teacher, as a term shows it."""

import pytest
import torch
from pairs import cnn_distiller

from mmamd.distillation.losses.logit_correlation import correlation, correlation_maps

# Classes 0 and 1 rise together, class 2 falls with them, class 3 is constant.
LOGITS = torch.tensor([[1., 2., 3., 5.], [2., 4., 2., 5.], [3., 6., 1., 5.]])


def test_a_constant_class_goes_with_none():
    expected = [[1., 1., -1., 0.], [1., 1., -1., 0.], [-1., -1., 1., 0.], [0., 0., 0., 0.]]
    torch.testing.assert_close(correlation(LOGITS), torch.tensor(expected, dtype=torch.float64))


def test_both_networks_are_shown_and_how_far_they_are_apart():
    shown = correlation_maps(LOGITS, 2 * LOGITS + 1)
    assert list(shown.panels) == ['teacher', 'student'] and shown.panels['teacher'] == shown.panels['student']
    assert ' are 0.000 apart' in shown.caption
    turned = correlation_maps(LOGITS * torch.tensor([1., 1., -1., 1.]), LOGITS)
    # Four of sixteen are turned from -1 to 1.
    assert ' are 0.500 apart' in turned.caption and turned.panels['student'][0][2] == 1.


@pytest.mark.parametrize('what', ['logits', 'feature'])
def test_a_genome_shows_it_whatever_it_compares(what):
    distiller = cnn_distiller(dict(found=dict(
        type='mmamd.GenomeLoss', genome=f'in:[{what}] trans:[no|no|no] dist:[l2] cal:[no] weight:[1] tau:[1]')), 1)
    shown, = distiller.eval().pictures(torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)), [])
    assert shown.name == 'correlation' and len(shown.panels['student']) == 3, 'of three classes'
