"""What classification is to the stages: labels, targets, images known by name and label."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmpretrain.structures import DataSample

from mmamd.registry import MODELS
from mmamd.tasks import Classification, task_of

hard_targets = Classification().hard_targets


def test_a_network_has_the_task_of_its_class(network_settings):
    network = MODELS.build(network_settings)
    task = task_of(network)
    assert isinstance(task, Classification) and task.num_classes(network) == 3
    with pytest.raises(ValueError, match='Sequential is a network of no known task; expected a subclass of'):
        task_of(nn.Sequential())


def test_the_example_is_one_that_the_networks_loss_takes(network_settings):
    network = MODELS.build(network_settings)
    loss = network(torch.zeros(1, 3, 8, 8), [Classification().example(network)], mode='loss')
    assert loss['loss'].isfinite()


def test_an_image_is_known_by_its_name_its_label_and_its_pixels_in_memory():
    known = Classification().identity
    assert known(dict(img_path='a/b.png', gt_label=1)) == known(dict(img_path='moved/b.png', gt_label=1))
    assert known(dict(img_path='a/b.png', gt_label=1)) != known(dict(img_path='a/b.png', gt_label=2))
    assert known(dict(img=np.zeros(2), gt_label=1)) != known(dict(img=np.ones(2), gt_label=1))


def test_a_label_beyond_the_head_is_told():
    assert Classification().check(dict(gt_label=2), 3) is None
    assert 'has label 3 but the head has 3 classes (0 to 2)' in Classification().check(dict(gt_label=3), 3)


def test_target_is_the_hard_label():
    samples = [DataSample().set_gt_label(2), DataSample().set_gt_label(0)]
    assert hard_targets(samples).tolist() == [2, 0]


def test_target_of_a_mixed_label_is_its_largest_share_and_of_equal_shares_the_first():
    samples = [DataSample().set_gt_label(0).set_gt_score(torch.tensor(score))
               for score in ([0.3, 0.0, 0.7], [0.0, 0.5, 0.5])]
    assert hard_targets(samples).tolist() == [2, 1]


def test_a_soft_label_of_none_falls_back_to_the_hard_label():
    sample = DataSample().set_gt_label(1)
    sample.set_field(None, 'gt_score')
    assert hard_targets([sample]).tolist() == [1]


@pytest.mark.parametrize('sample', [DataSample(), DataSample().set_gt_label([0, 2])])
def test_a_sample_without_one_class_is_refused(sample):
    with pytest.raises(ValueError, match='sample 1 has gt_label='):
        hard_targets([DataSample().set_gt_label(0), sample])
