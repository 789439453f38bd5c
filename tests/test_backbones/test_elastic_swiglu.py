"""A SwiGLU's neurons, beside what the contract says of them as a part of a ViT; see test_elastic_contract.py."""

import pytest
import torch
from mmpretrain.models.utils import SwiGLUFFN, SwiGLUFFNFused

from mmamd.backbones.elastic_layers import BiasBranch
from mmamd.backbones.elastic_swiglu import ElasticSwiGLU, host_channels


def test_a_neuron_is_a_row_of_each_half_and_a_column():
    # One input channel; neuron i has a = 10 (i + 1), so that silu(a) = a, v = i + 1, and adds 100 ** i to the output.
    host = SwiGLUFFN(1, 3)
    with torch.no_grad():
        host.w12.weight.copy_(torch.tensor([[10.], [20.], [30.], [1.], [2.], [3.]]))
        host.w12.bias.zero_()
        host.w3.weight.copy_(torch.tensor([[1., 100., 10000.]]))
        host.w3.bias.fill_(0.5)
    branch, x_NLC = ElasticSwiGLU(host), torch.ones(1, 1, 1)
    branch.reorder([2, 0, 1])
    assert branch.w12.weight.flatten().tolist() == [30, 10, 20, 3, 1, 2]
    branch.active = 2
    assert branch.outer(branch.inner(x_NLC)).item() == pytest.approx(0.5 + 90 * 10000 + 10)
    branch.active = 3
    small = branch.cut(1)
    assert small.w12.weight.flatten().tolist() == [30, 3] and small.w3.weight.tolist() == [[10000]]
    assert small.cost(1, num_tokens=7).macs == 7 * 3 and small.cost(1, 7).params == 3 + 2 + 1
    assert isinstance(small.cut(0), BiasBranch)


@pytest.mark.parametrize('options, remedy', [
    (dict(norm_cfg=dict(type='LN')), 'norm_cfg=None'), (dict(bias=False), 'bias=True'),
    (dict(out_dims=6), 'out_dims=embed_dims'), (dict(add_identity=False), 'add_identity=True')], ids=str)
def test_what_neurons_cannot_be_cut_from_is_refused(options, remedy):
    with pytest.raises(ValueError, match=f'^SwiGLUFFN cannot be pruned by neurons: .*; set {remedy}$'):
        ElasticSwiGLU(SwiGLUFFN(4, 8, **options))


@pytest.mark.parametrize('neurons', [8, 16, 4096])
def test_the_host_is_told_what_it_takes_two_thirds_of(neurons):
    assert SwiGLUFFNFused(4, host_channels(neurons, 'layers.0')).w3.in_features == neurons
