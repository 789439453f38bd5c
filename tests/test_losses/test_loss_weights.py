import math

import pytest

from mmamd.distillation.losses import check_loss_weights


@pytest.mark.parametrize('weights', [(1, 1, 1, 0), (0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 0, 1, 1)])
def test_every_ablation_of_the_paper_is_allowed(weights):
    check_loss_weights(*weights)


def test_all_weights_zero_are_refused():
    with pytest.raises(ValueError, match='all loss weights are 0'):
        check_loss_weights(ce=0, logit=0.0, feat=0, dkd=0)


@pytest.mark.parametrize('name', ['ce', 'logit', 'feat', 'dkd'])
@pytest.mark.parametrize('weight', [-1.0, math.nan, math.inf])
def test_a_weight_that_is_negative_or_not_finite_is_refused_by_name(name, weight):
    with pytest.raises(ValueError, match=f'loss weight {name} must be a finite number >= 0, got {weight}'):
        check_loss_weights(**{**dict(ce=1.0, logit=1.0, feat=1.0, dkd=0.0), name: weight})
