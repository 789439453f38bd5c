import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmamd.distillation.losses.distpro.transforms import CnnTransform, TransformerTransform, untouched


def test_the_transform_of_cnns_is_the_authors_chain_of_layers():
    transform, maps = CnnTransform(4, 6), torch.randn(3, 4, 5, 5)
    tensors = dict(transform.named_parameters())
    assert {name: tuple(each.shape) for name, each in tensors.items() if 'norm' not in name} == {
        'enter.weight': (4, 4, 3, 3), 'attention.weight': (1, 4, 1, 1), 'middle.weight': (4, 4, 3, 3),
        'leave.weight': (6, 4, 3, 3)}  # four channels within, and no biases

    def normed(x):
        return F.batch_norm(x, None, None, training=True)

    x = normed(F.conv2d(maps, tensors['enter.weight'], padding=1)).relu()
    x = x * F.conv2d(x, tensors['attention.weight'])
    x = normed(F.conv2d(x, tensors['middle.weight'], padding=1)).relu()
    x = F.interpolate(x, (2, 2), mode='nearest')
    expected = normed(F.conv2d(x, tensors['leave.weight'], padding=1))
    torch.testing.assert_close(transform(maps, (2, 2)), expected)


def test_convolutions_start_with_the_authors_spread():
    torch.manual_seed(0)
    transform = CnnTransform(64, 32)
    assert transform.enter.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 32)), rel=0.02)
    assert CnnTransform(600, 700).enter.weight.shape[0] == 512


def test_the_transform_of_transformers_is_three_linear_layers_of_each_token():
    transform, maps = TransformerTransform(4, 6), torch.randn(2, 4, 3, 3)
    tokens = maps.flatten(2).mT
    tokens = F.gelu(transform.enter(tokens))
    expected = transform.leave(F.gelu(transform.middle(tokens)))
    torch.testing.assert_close(transform(maps, (3, 3)).flatten(2).mT, expected)
    resized = F.interpolate(expected.mT.unflatten(2, (3, 3)), (6, 6), mode='bilinear', align_corners=False)
    torch.testing.assert_close(transform(maps, (6, 6)), resized)


def test_dropout_follows_from_the_generator_alone():
    transform, maps = TransformerTransform(64, 64), torch.randn(8, 64, 4, 4)
    state = torch.get_rng_state()
    first, again, other = (transform(maps, (4, 4), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    transform.enter.weight.data.zero_()
    transform.enter.bias.data.fill_(3.)
    nn.init.eye_(transform.middle.weight)
    nn.init.zeros_(transform.middle.bias)
    seen = []
    transform.middle.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    transform(maps, (4, 4), torch.Generator().manual_seed(0))
    # A tenth is 0, and the rest grows by 10 / 9, so that the mean stays.
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert seen[0].max().item() == pytest.approx(F.gelu(torch.tensor(3.)).item() / 0.9)


@pytest.mark.parametrize('kind', [CnnTransform, TransformerTransform])
def test_a_narrower_candidate_uses_the_leading_channels(kind):
    transform, maps = kind(4, 5).eval(), torch.randn(2, 2, 3, 3)
    whole = torch.cat([maps, torch.zeros(2, 2, 3, 3)], dim=1)
    torch.testing.assert_close(transform(maps, (3, 3)), transform(whole, (3, 3)))


def test_what_is_not_run_has_zero_gradients_whatever_its_weights():
    transform = CnnTransform(2, 3)
    transform.enter.weight.data.fill_(math.inf)
    value = untouched(transform)
    value.backward()
    assert value == 0
    assert all(torch.equal(each.grad, torch.zeros_like(each)) for each in transform.parameters())
