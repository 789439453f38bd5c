"""Scores against gradients worked out by hand on a network of four gates."""

import dataclasses
import math
from contextlib import contextmanager

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn as nn

from mmamd.pruning import check_importance, score, unit_scores
from mmamd.structures import Importance, UnitGroup

GROUPS = [UnitGroup('layers.0.neuron', 'neuron', 2), UnitGroup('layers.1.neuron', 'neuron', 2)]


class ToyBackbone(nn.Module):
    """out(x) = sum_i h_i * sum_j g_j w_j x_j  with w = (1, -2), g the gates of layer 0, h those of layer 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1., -2.]))
        self.dropout = nn.Dropout(0.5)
        self.gate = None

    def unit_groups(self):
        return GROUPS

    @contextmanager
    def gates(self, batch_size):
        self.gate = {group.name: torch.ones(batch_size, group.count, requires_grad=True) for group in GROUPS}
        yield self.gate
        self.gate = None

    def forward(self, x_N2):
        first, second = self.gate.values()
        return self.dropout(first * self.weight * x_N2).sum(1) * second.sum(1)


class ToyNetwork(nn.Module):
    """Task loss mean_n(t_n out_n), split over two entries and a list; 'accuracy' is no loss."""

    def __init__(self):
        super().__init__()
        self.backbone = ToyBackbone()

    def forward(self, inputs, data_samples, mode):
        assert mode == 'loss'
        loss = (self.backbone(inputs) * torch.tensor(data_samples)).mean()
        return {'loss': 0.5 * loss, 'aux_loss': [0.25 * loss, 0.25 * loss], 'accuracy': torch.tensor(100.)}


# dL/dg_j = t * w_j x_j * 2,   dL/dh_i = t * (x_0 - 2 x_1)  for both i
INPUTS = torch.tensor([[1., 2.], [3., 1.]])
TARGETS = [1., -1.]
# sample 0: g (2, -8), h -3;   sample 1: g (-6, 4), h -1
SAMPLE_SUMS = {'layers.0.neuron': [8., 12.], 'layers.1.neuron': [4., 4.]}
BATCH_MEANS = {'layers.0.neuron': [2., 2.], 'layers.1.neuron': [2., 2.]}


def as_lists(scores):
    return {name: values.tolist() for name, values in scores.items()}


def test_sample_level_sums_each_images_absolute_gradient():
    assert as_lists(unit_scores(ToyNetwork(), INPUTS, TARGETS, 'sample')) == SAMPLE_SUMS


def test_batch_level_takes_the_absolute_gradient_of_the_mean_loss():
    assert as_lists(unit_scores(ToyNetwork(), INPUTS, TARGETS, 'batch')) == BATCH_MEANS


def test_images_that_cancel_are_important_at_sample_level_only():
    inputs, targets = INPUTS[[0, 0]], [1., -1.]
    assert as_lists(unit_scores(ToyNetwork(), inputs, targets, 'batch'))['layers.0.neuron'] == [0., 0.]
    assert as_lists(unit_scores(ToyNetwork(), inputs, targets, 'sample'))['layers.0.neuron'] == [4., 16.]


def test_scoring_leaves_modes_flags_and_gradients_as_they_were():
    network = ToyNetwork()
    network.train()
    network.backbone.eval()  # a part that is kept in eval mode
    network.backbone.dropout.train()
    network.backbone.weight.grad = torch.tensor([5., 6.])
    unit_scores(network, INPUTS, TARGETS)
    assert (network.training, network.backbone.training, network.backbone.dropout.training) == (True, False, True)
    assert network.backbone.weight.requires_grad
    assert network.backbone.weight.grad.tolist() == [5., 6.]


def test_weights_are_frozen_and_the_mode_is_eval_during_the_pass():
    network, seen = ToyNetwork(), []
    network.backbone.dropout.register_forward_hook(
        lambda module, *_: seen.append((module.training, network.backbone.weight.requires_grad)))
    unit_scores(network, INPUTS, TARGETS)
    assert seen == [(False, False)]


def test_modes_are_restored_when_the_network_fails():
    network = ToyNetwork()
    with pytest.raises(RuntimeError):
        unit_scores(network, torch.ones(2, 7), TARGETS)
    assert network.training and network.backbone.weight.requires_grad


def test_scores_can_be_taken_inside_no_grad():
    with torch.no_grad():
        assert as_lists(unit_scores(ToyNetwork(), INPUTS, TARGETS)) == SAMPLE_SUMS


@pytest.mark.parametrize('parts', [[[0, 1]], [[0], [1]], [[1], [0]]])
def test_importance_is_the_mean_over_images_however_they_are_batched(parts):
    batches = [dict(inputs=INPUTS[p], data_samples=[TARGETS[i] for i in p]) for p in parts]
    importance = score(ToyNetwork(), batches)
    assert importance == Importance({'layers.0.neuron': [4., 6.], 'layers.1.neuron': [2., 2.]}, 2, 'sample')


def test_batch_level_importance_is_the_mean_over_batches():
    batch = dict(inputs=INPUTS, data_samples=TARGETS)
    single = dict(inputs=INPUTS[:1], data_samples=TARGETS[:1])  # scores (2, 8), (3, 3)
    importance = score(ToyNetwork(), [batch, single], 'batch')
    assert importance == Importance({'layers.0.neuron': [2., 5.], 'layers.1.neuron': [2.5, 2.5]}, 3, 'batch')


def _score_on_rank(rank, folder):
    # Rank 0 holds both images, rank 1 none.
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    batches = [dict(inputs=INPUTS, data_samples=TARGETS)] if rank == 0 else []
    score(ToyNetwork(), batches).save(f'{folder}/{rank}.json')
    torch.distributed.destroy_process_group()


def test_ranks_with_different_numbers_of_batches_hold_the_same_importance(tmp_path):
    mp.spawn(_score_on_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (Importance.load(tmp_path / f'{rank}.json') for rank in (0, 1))
    assert first == second == score(ToyNetwork(), [dict(inputs=INPUTS, data_samples=TARGETS)])


def test_no_image_at_all_is_an_error():
    with pytest.raises(ValueError, match='no image to score'):
        score(ToyNetwork(), [])


def test_unknown_level_is_an_error():
    with pytest.raises(ValueError, match=r"level must be one of \('sample', 'batch'\), got 'signed'"):
        unit_scores(ToyNetwork(), INPUTS, TARGETS, 'signed')


def test_a_network_without_a_loss_is_an_error():
    network = ToyNetwork()
    network.register_forward_hook(lambda *_: {'accuracy': torch.tensor(1.)})
    with pytest.raises(ValueError, match=r"no key of \['accuracy'\] contains 'loss'"):
        unit_scores(network, INPUTS, TARGETS)


GOOD = Importance({'layers.0.neuron': [4., 0.], 'layers.1.neuron': [2., 2.]}, 2, 'sample')


def test_importance_of_the_same_architecture_passes():
    check_importance(GOOD, GROUPS)


@pytest.mark.parametrize(('scores', 'message'), [
    ({'layers.0.neuron': [1., 2.]}, r"lacks the groups \['layers.1.neuron'\].*another architecture"),
    (GOOD.scores | {'layers.2.head': [1.]}, r"unknown groups \['layers.2.head'\].*another architecture"),
    (GOOD.scores | {'layers.1.neuron': [1.]}, 'layers.1.neuron has 1 scores, expected 2.*another architecture'),
    (GOOD.scores | {'layers.1.neuron': [1., math.nan]}, 'layers.1.neuron is nan at unit 1.*check the teacher'),
    (GOOD.scores | {'layers.1.neuron': [math.inf, 1.]}, 'layers.1.neuron is inf at unit 0'),
    (GOOD.scores | {'layers.1.neuron': [1., -0.5]}, r'layers.1.neuron is negative \(-0.5\).*score the network again'),
    (GOOD.scores | {'layers.1.neuron': [0., 0.]}, 'layers.1.neuron is zero for all 2 units'),
])
def test_unusable_importance_is_named(scores, message):
    with pytest.raises(ValueError, match=message):
        check_importance(dataclasses.replace(GOOD, scores=scores), GROUPS)
