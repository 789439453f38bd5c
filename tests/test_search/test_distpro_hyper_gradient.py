"""The hyper-gradient against exact differentiation through a step, in double precision."""

import pytest
import torch
from torch import nn

from mmamd.distillation.losses.distpro.normalisation import normalised
from mmamd.search.distpro import hyper_gradient, next_weights


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


INPUTS, HELD_OUT = draw(8, 4, seed=1), draw(8, 4, seed=2)
TARGETS_PN3, LABELS_N3 = draw(3, 8, 3, seed=3), draw(8, 3, seed=4)


def quadratic(weights, inputs):
    return inputs @ weights['w'] + weights['b']


def curved(weights, inputs):
    return torch.tanh(inputs @ weights['w']) @ weights['v'] + weights['b']


def train_loss(network):
    """A distance to each of three targets, weighed by the alphas, beside a loss that knows none."""
    def loss(weights, alpha):
        out = network(weights, INPUTS)
        distances_P = (out - TARGETS_PN3).square().mean((1, 2))
        return (normalised(alpha) * distances_P).sum() + (out - LABELS_N3).square().mean()

    return loss


def held_out_loss(network):
    return lambda weights: network(weights, HELD_OUT).square().sum(1).sqrt().mean()


def exact(network, step, weights, alpha):
    leaves = {name: each.detach().requires_grad_() for name, each in weights.items()}
    alpha = alpha.detach().requires_grad_()
    gradients = torch.autograd.grad(train_loss(network)(leaves, alpha), list(leaves.values()), create_graph=True)
    moved = step(dict(zip(leaves, gradients, strict=True)))
    return torch.autograd.grad(held_out_loss(network)(moved), alpha)[0]


def trained(shapes, make):
    """Parameters after two steps of their optimizer, so that it has momentum."""
    parameters = {name: nn.Parameter(draw(*shape, seed=i)) for i, (name, shape) in enumerate(shapes.items(), 5)}
    optimizer = make(parameters.values())
    for seed in (8, 9):
        for name, each in parameters.items():
            each.grad = draw(*shapes[name], seed=seed)
        optimizer.step()
    return parameters, lambda gradients: next_weights(optimizer, parameters, gradients)


SGD = dict(lr=0.1, momentum=0.9, weight_decay=5e-4)


@pytest.mark.parametrize('network, shapes, make, radius', [
    # Of a quadratic training loss the finite difference is exact, whatever its radius.
    (quadratic, dict(w=(4, 3), b=(3,)), lambda p: torch.optim.SGD(p, **SGD), 0.01),
    (curved, dict(w=(4, 5), v=(5, 3), b=(3,)), lambda p: torch.optim.SGD(p, nesterov=True, **SGD), 1e-4),
    (curved, dict(w=(4, 5), v=(5, 3), b=(3,)), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1), 1e-4)],
    ids=['quadratic', 'nesterov', 'adamw'])
def test_it_agrees_with_differentiation_through_the_step(network, shapes, make, radius):
    weights, step = trained(shapes, make)
    alpha = draw(3, seed=7)
    before = {name: each.detach().clone() for name, each in weights.items()}
    expected = exact(network, step, weights, alpha)
    found = hyper_gradient(train_loss(network), held_out_loss(network), step, weights, alpha, radius)
    assert (found - expected).norm() < 1e-6 * expected.norm()
    assert all(torch.equal(before[name], each) and each.grad is not None for name, each in weights.items())
    assert not alpha.requires_grad and alpha.grad is None


def test_a_held_out_loss_that_knows_no_weights_has_no_gradient():
    weights, step = trained(dict(w=(4, 3), b=(3,)), lambda p: torch.optim.SGD(p, **SGD))
    for loss in (lambda _: torch.tensor(1.), lambda weights: 0 * weights['b'].sum()):
        assert torch.equal(hyper_gradient(train_loss(quadratic), loss, step, weights, draw(3)), torch.zeros(3).double())


def test_weights_that_stay_have_no_gradient():
    weights, step = trained(dict(w=(4, 3), b=(3,)), lambda p: torch.optim.SGD(p, lr=0.))
    found = hyper_gradient(train_loss(quadratic), held_out_loss(quadratic), step, weights, draw(3))
    assert torch.equal(found, torch.zeros(3).double())


def test_the_only_pathway_that_carries_labels_rises_above_the_others():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(6, 3, generator=generator)  # what labels follow from

    def batch():
        inputs = torch.randn(16, 6, generator=generator)
        return inputs, (inputs @ truth).argmax(1), torch.stack([inputs @ truth, *torch.randn(
            2, 16, 3, generator=generator)])  # of three levels of the teacher two are noise

    weights = {'w': nn.Parameter(torch.zeros(6, 3))}
    optimizer, alpha = torch.optim.SGD(weights.values(), lr=0.1, momentum=0.9), torch.ones(3)
    adam = torch.optim.Adam([alpha], lr=0.1, betas=(0.5, 0.999))
    for _ in range(200):
        (inputs, _, levels), (held_out, labels, _) = batch(), batch()

        def loss(weights, alpha, inputs=inputs, levels=levels):
            return (normalised(alpha) * (inputs @ weights['w'] - levels).square().mean((1, 2))).sum()

        alpha.grad = hyper_gradient(
            loss, lambda weights, x=held_out, y=labels: nn.functional.cross_entropy(x @ weights['w'], y),
            lambda gradients: next_weights(optimizer, weights, gradients), weights, alpha)
        adam.step()
        optimizer.zero_grad()
        loss(weights, alpha.detach()).backward()
        optimizer.step()
    found = normalised(alpha)
    assert found[0] > 2 * found[1:].max()
