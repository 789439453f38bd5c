import math

import pytest
import torch
import torch.nn.functional as F

from mmamd.distillation.losses.dist import correlation as row_correlation
from mmamd.distillation.losses.wsld import soft_label_weights
from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES

DISTANCES, CALIBRATIONS = KD_DISTANCES.module_dict, KD_CALIBRATIONS.module_dict


def pair(*shape):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).unbind()


@pytest.mark.parametrize('name, expected', [
    ('smooth-l1', lambda s, t: F.smooth_l1_loss(s, t)), ('l1', lambda s, t: F.l1_loss(s, t)),
    ('l2', lambda s, t: F.mse_loss(s, t)),
    ('KL', lambda s, t: F.kl_div(s.log_softmax(1), t.softmax(1), reduction='batchmean')),
    ('hard', lambda s, t: F.cross_entropy(s, t.argmax(1))),
    ('Cosine', lambda s, t: 1 - F.cosine_similarity(s, t).mean()),
    ('Pearson', lambda s, t: 1 - row_correlation(*(x.movedim(1, -1).flatten(0, -2) for x in (s, t))).mean()),
    ('Correlation', lambda s, t: (row_correlation(s.flatten(1).T, t.flatten(1).T) - 1).square().mean())])
def test_value_is_the_batchs_mean_and_a_sample_has_its_own(name, expected):
    for shape in ((4, 6), (4, 6, 5), (4, 6, 3, 3)):
        student, teacher = pair(*shape)
        found = DISTANCES[name](student, teacher)
        assert found.shape == (() if name == 'Correlation' else (4,))
        torch.testing.assert_close(found.mean(), expected(student, teacher))
        if name != 'Correlation':
            torch.testing.assert_close(DISTANCES[name](student[:1], teacher[:1]), found[:1])


@pytest.mark.parametrize('name', sorted(set(DISTANCES) - {'hard'}))
def test_nothing_is_nearer_than_what_is_equal(name):
    student, teacher = pair(4, 6)
    assert DISTANCES[name](teacher, teacher).abs().max().item() == pytest.approx(0., abs=1e-6)
    assert DISTANCES[name](student, teacher).min() > 0


def test_knowledge_of_two_shapes_is_refused():
    with pytest.raises(ValueError, match=r'one shape, got \(4, 6\) of the student and \(4, 1\) of the teacher; align'):
        DISTANCES['l2'](torch.zeros(4, 6), torch.zeros(4, 1))


# --- calibrations ---

TARGET = torch.tensor([0, 1, 2])
SURE, UNSURE = 100 * torch.eye(3), torch.zeros(3, 3)


@pytest.mark.parametrize('name, student, teacher, expected', [
    ('no', UNSURE, SURE, 1.), ('entropy', UNSURE, SURE, 1.), ('entropy', SURE, UNSURE, 0.), ('conf', UNSURE, SURE, 1.),
    ('conf', SURE, UNSURE, 1 / 3), ('sim', SURE, SURE, 1.), ('sim', SURE, SURE.roll(1, 0), 0.),
    ('sim', SURE, UNSURE, 1 / math.sqrt(3)),
    ('focal', SURE, UNSURE, 0.), ('focal', UNSURE, UNSURE, 1 - math.exp(-1)), ('focal', UNSURE, SURE, 1.)])
def test_value_by_hand(name, student, teacher, expected):
    found = CALIBRATIONS[name](student, teacher, TARGET)
    torch.testing.assert_close(found, torch.full((3,), expected))


@pytest.mark.parametrize('name', sorted(CALIBRATIONS))
def test_no_gradient_goes_through_a_weight_and_positions_are_averaged(name):
    student, teacher = pair(2, 3, 2, 2)
    target = torch.zeros(2, 2, 2, dtype=torch.long)
    weights = CALIBRATIONS[name](student.requires_grad_(), teacher, target)
    assert weights.shape == (2,) and not weights.requires_grad
    rows = [x.permute(0, 2, 3, 1).reshape(-1, 3) for x in (student, teacher)]
    torch.testing.assert_close(CALIBRATIONS[name](*rows, target.flatten()).view(2, 4).mean(1), weights)


def test_focal_is_the_weight_of_soft_labels():
    student, teacher = pair(3, 5)
    torch.testing.assert_close(CALIBRATIONS['focal'](student, teacher, TARGET),
                               soft_label_weights(student, teacher, TARGET))
    sure = 50. * torch.nn.functional.one_hot(TARGET, 5)
    # Nothing is left to learn of what the student is sure of, all of what the teacher alone is.
    torch.testing.assert_close(CALIBRATIONS['focal'](sure, teacher, TARGET), torch.zeros(3))
    torch.testing.assert_close(CALIBRATIONS['focal'](student, sure, TARGET), torch.ones(3))
