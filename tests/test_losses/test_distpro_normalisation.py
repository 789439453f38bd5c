import math

import pytest
import torch

from mmamd.distillation.losses.distpro.normalisation import NORMALISATIONS, check_normalisation, normalised

ALPHA = torch.tensor([0., math.log(2.), -1.], dtype=torch.float64)
E = math.e


@pytest.mark.parametrize('by, expected', [
    ('constant', [1, 1, 1]),
    ('softmax', [1 / (3 + 1 / E), 2 / (3 + 1 / E), 1 / E / (3 + 1 / E)]),
    ('biased_softmax', [1 / (3 + 1 / E + E), 2 / (3 + 1 / E + E), 1 / E / (3 + 1 / E + E)]),  # e^1 beside them
    ('sigmoid', [1 / 2, 2 / 3, 1 / (1 + E)]),
    ('absolute', [0, math.log(2), 1]),
    ('absolute_share', [0, 3 * math.log(2) / (1 + math.log(2)), 3 / (1 + math.log(2))]),
    ('biased_absolute_share', [0, 10 * math.log(2) / (2 + math.log(2)), 10 / (2 + math.log(2))])])
def test_values_by_hand(by, expected):
    assert normalised(ALPHA, by, 1.).tolist() == pytest.approx(expected)
    assert normalised(ALPHA, by, 'num_pathways').tolist() == pytest.approx([3 * each for each in expected])
    assert normalised(torch.stack([ALPHA, ALPHA]), by, 1.)[1].tolist() == pytest.approx(expected)  # one row a point


def test_equal_alphas_of_the_biased_softmax_have_weights_near_one():
    # Ten alphas of 1 and the bias of 1: a share of 1 / 11 each, times ten pathways.
    assert normalised(torch.ones(10)).tolist() == pytest.approx([10 / 11] * 10)
    assert normalised(torch.ones(10), scale=1.).sum().item() == pytest.approx(10 / 11)  # less than 1


@pytest.mark.parametrize('by', [each for each in NORMALISATIONS if each != 'constant'])
def test_gradient_is_that_of_finite_differences_and_a_weight_grows_with_its_alpha(by):
    alpha = torch.tensor([0.3, 1.2, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: normalised(a, by), alpha)
    gradient, = torch.autograd.grad(normalised(alpha, by)[1], alpha)
    assert gradient[1] > 0 and (gradient[[0, 2]] <= 0).all()


@pytest.mark.parametrize('by, scale, message', [
    ('style2', 1., r"normalisation must be one of \['constant', .*got 'style2'"),
    ('softmax', 0, "scale must be 'num_pathways' or a positive number, got 0"),
    ('softmax', True, 'scale must be'), ('softmax', math.nan, 'scale must be')])
def test_what_is_refused(by, scale, message):
    with pytest.raises(ValueError, match=message):
        check_normalisation(by, scale)
