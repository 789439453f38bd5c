"""SyncBN as an elastic batch norm; that ranks agree is in test_distillation/test_two_ranks.py.

Shapes: N samples, C channels, H x W the map.
"""

import pytest
import torch
import torch.nn as nn
from mmengine import dist
from mmpretrain.models.backbones import ResNet

from mmamd.backbones import MaskedResNet
from mmamd.backbones.elastic_conv import Channels
from mmamd.backbones.elastic_sync_norm import ElasticSyncBatchNorm2d, NormaliseOverRanks
from mmamd.backbones.recalibration import recalibrate

RESNET = dict(depth=18, stem_channels=6, base_channels=6, num_stages=2, strides=(1, 2), dilations=(1, 1),
              out_indices=(1,), norm_cfg=dict(type='SyncBN', requires_grad=True))


def maps(num=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return 5 + 0.1 * torch.randn(num, 6, 3, 2, generator=generator, dtype=dtype)


def norms(active=6):
    """The elastic norm of the leading channels, and torch's of these alone."""
    channels = Channels('layer', 6, min_count=0)
    channels.active = active
    elastic, plain = ElasticSyncBatchNorm2d(nn.SyncBatchNorm(6), channels), nn.BatchNorm2d(active)
    for norm in (elastic, plain):
        nn.init.constant_(norm.weight, 2.)
        nn.init.constant_(norm.bias, -1.)
    return elastic, plain


@pytest.mark.parametrize('training', [True, False])
def test_at_one_process_it_is_the_plain_norm_of_the_leading_channels(training):
    elastic, plain = (norm.train(training) for norm in norms(active=4))
    assert torch.equal(elastic(maps()[:, :4]), plain(maps()[:, :4]))
    assert torch.equal(elastic.running_mean[:4], plain.running_mean)
    assert torch.equal(elastic.running_var[:4], plain.running_var)
    assert not elastic.running_mean[4:].any()


def test_a_resnet_with_the_customary_norms_runs_on_a_cpu_as_the_hosts():
    torch.manual_seed(0)
    host, elastic = ResNet(**RESNET), MaskedResNet(img_size=16, **RESNET)
    elastic.load_state_dict(host.state_dict())
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(elastic(images)[0], host(images)[0])  # both train
    elastic.activate({group.name: group.min_count for group in elastic.unit_groups()})
    elastic(images)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in elastic.parameters())


def test_the_gradients_are_the_derivatives():
    # One rank's part of the formula: the sums over ranks are those of one process here.
    weight_C, bias_C = torch.rand(6, dtype=torch.double) + 0.5, torch.rand(6, dtype=torch.double)
    inputs = [tensor.requires_grad_() for tensor in (maps(dtype=torch.double), weight_C, bias_C)]
    assert torch.autograd.gradcheck(lambda *args: NormaliseOverRanks.apply(*args, 1e-5, None)[0], inputs)


def test_half_precision_is_normalised_in_single_and_returned_in_half():
    x_NCHW = maps().half()
    ones_C, zeros_C = torch.ones(6), torch.zeros(6)
    out_NCHW, mean_C, variance_C, num = NormaliseOverRanks.apply(x_NCHW, ones_C, zeros_C, 1e-5, None)
    assert out_NCHW.dtype is torch.half and mean_C.dtype is variance_C.dtype is torch.float32 and num == 4 * 3 * 2
    torch.testing.assert_close(variance_C, x_NCHW.float().var((0, 2, 3), correction=0))


def test_statistics_that_are_found_anew_ask_no_other_rank(monkeypatch):
    # Ranks may have other numbers of batches then, and would wait for each other for ever.
    elastic = MaskedResNet(img_size=16, **RESNET)
    images = torch.randn(3, 3, 16, 16)
    asked = []
    monkeypatch.setattr(dist, 'get_world_size', lambda group=None: 2)
    monkeypatch.setattr(dist, 'all_reduce', lambda data, op='sum', group=None: asked.append(op))
    elastic(images)
    num_norms = sum(isinstance(module, ElasticSyncBatchNorm2d) for module in elastic.modules())
    assert len(asked) == 2 * num_norms  # of numbers and means, then of variances
    asked.clear()
    recalibrate(_Network(elastic), [images])
    assert asked == []
    elastic(images)
    assert len(asked) == 2 * num_norms, 'training goes on as before'


class _Network(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images, mode):
        return self.backbone(images)
