"""Cost of what surrounds a backbone, on modules whose MACs can be counted on paper."""

import pytest
import torch
import torch.nn as nn

from mmamd.pruning import cost_function, network_cost, profiled_cost, rest_cost
from mmamd.structures import Cost, UnitGroup


class ToyBackbone(nn.Module):
    """A 1x1 convolution of three filters that claims 7 MACs and 2 parameters a kept filter, on 4 x 6 images."""

    input_shape = (3, 4, 6)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def unit_groups(self):
        return [UnitGroup('layers.0.filter', 'filter', 3)]

    def cost(self, kept):
        return Cost(7 * kept['layers.0.filter'], 2 * kept['layers.0.filter'])

    def forward(self, x):
        return self.conv(x)


class ToyNetwork(nn.Module):
    """Neck: grouped 3x3 convolution of stride 2 and a norm. Head: pooling and a linear layer of five classes."""

    def __init__(self):
        super().__init__()
        self.backbone = ToyBackbone()
        self.neck = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), nn.BatchNorm2d(6))
        self.head = nn.Linear(6, 5)
        self.num_forwards = 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        assert mode == 'tensor' and not self.training and not torch.is_grad_enabled()
        self.num_forwards += 1
        return self.head(self.neck(self.backbone(inputs)).mean((2, 3)))


# conv: 2 x 3 positions x 6 filters x (1 channel x 9) = 324 MACs, 54 + 6 parameters; norm: 12 parameters;
# linear: 5 x 6 = 30 MACs, 30 + 5 parameters.
REST = Cost(macs=324 + 30, params=60 + 12 + 35)


def test_rest_counts_convolutions_and_linear_layers_outside_the_backbone():
    assert rest_cost(ToyNetwork()) == REST


def test_network_cost_adds_the_backbone_cut_to_the_kept_units():
    assert network_cost(ToyNetwork()) == REST + Cost(21, 6)
    assert network_cost(ToyNetwork(), {'layers.0.filter': 1}) == REST + Cost(7, 2)


def test_a_cost_function_measures_the_rest_once():
    network = ToyNetwork()
    cost_of = cost_function(network)
    assert [cost_of({'layers.0.filter': n}).macs for n in range(4)] == [354, 361, 368, 375]
    assert network.num_forwards == 1


def test_a_module_that_runs_twice_counts_twice_but_its_parameters_once():
    network = ToyNetwork()
    network.neck = nn.Sequential(*[nn.Conv2d(3, 3, 1, bias=False)] * 2, nn.Conv2d(3, 6, 1, bias=False))
    # 24 positions x (9 + 9 + 18) MACs and the head's 30; 9 + 18 + 35 parameters
    assert rest_cost(network) == Cost(24 * 36 + 30, 62)


def test_a_parameter_shared_with_the_backbone_is_the_backbones():
    network = ToyNetwork()
    network.neck = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 6, 1, bias=False))
    network.neck[0].weight = network.backbone.conv.weight
    # the shared weight's products run and count; 3 + 18 + 35 parameters are new
    assert rest_cost(network) == Cost(24 * (9 + 18) + 30, 56)


def test_measuring_leaves_mode_statistics_and_hooks_as_they_were():
    network = ToyNetwork().train()
    network.neck.eval()
    rest_cost(network)
    assert (network.training, network.neck.training) == (True, False)
    assert network.neck[1].num_batches_tracked == 0
    assert not any(module._forward_hooks for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


def test_a_weight_matrix_that_cannot_be_counted_is_an_error():
    network = ToyNetwork()
    network.extra = nn.ConvTranspose2d(6, 6, 2)
    with pytest.raises(ValueError, match=r"cannot count the MACs of 'extra' \(ConvTranspose2d\)"):
        rest_cost(network)
    assert not network.head._forward_hooks


def test_the_profiler_counts_any_network_by_the_same_convention():
    network = ToyNetwork().train()
    # By hand: 1x1 convolution 4 x 6 x 9, grouped 3x3 of stride 2 over 2 x 3 positions 6 x 9, linear 6 x 5.
    macs = 4 * 6 * 9 + 2 * 3 * 6 * 9 + 30
    assert profiled_cost(network, (3, 4, 6)) == Cost(macs, sum(p.numel() for p in network.parameters()))
    assert network.training
