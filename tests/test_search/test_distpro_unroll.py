import pytest
import torch
from torch import nn

from mmamd.search.distpro.unroll import next_weights

OPTIMIZERS = {
    'plain': lambda p: torch.optim.SGD(p, lr=0.1),
    'momentum': lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01),
    'nesterov': lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    'adam': lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01),
    'adamw': lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1)}


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_it_is_what_the_optimizer_does_with_the_momentum_that_it_has(kind):
    torch.manual_seed(0)
    parameters = {name: nn.Parameter(torch.randn(3, dtype=torch.float64)) for name in 'ab'}
    groups = [dict(params=[parameters['a']]), dict(params=[parameters['b']], lr=0.03, weight_decay=0.)]
    optimizer = OPTIMIZERS[kind](groups)
    for _ in range(3):  # the first has no momentum yet
        gradients = {name: torch.randn(3, dtype=torch.float64) for name in parameters}
        before = {name: each.detach().clone() for name, each in parameters.items()}
        expected = next_weights(optimizer, parameters, gradients)
        assert all(torch.equal(before[name], each) for name, each in parameters.items())
        for name, each in parameters.items():
            each.grad = gradients[name].clone()
        optimizer.step()
        for name, each in parameters.items():
            torch.testing.assert_close(each.detach(), expected[name])


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_it_can_be_differentiated_by_the_gradients(kind):
    parameter = nn.Parameter(torch.tensor([0.5, -1.], dtype=torch.float64))
    optimizer = OPTIMIZERS[kind]([parameter])
    parameter.grad = torch.tensor([1., -0.5], dtype=torch.float64)
    optimizer.step()
    gradient = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: next_weights(optimizer, {'w': parameter}, {'w': g})['w'], gradient)


def test_adam_stays_where_there_was_never_a_gradient():
    parameter, gradient = nn.Parameter(torch.ones(2)), torch.zeros(2, requires_grad=True)
    moved = next_weights(torch.optim.Adam([parameter]), {'w': parameter}, {'w': gradient})['w']
    moved.sum().backward()
    assert torch.equal(moved, torch.ones(2)) and torch.equal(gradient.grad, torch.zeros(2))


@pytest.mark.parametrize('optimizer, message', [
    (lambda p: torch.optim.RMSprop(p), r"a step of RMSprop cannot be looked ahead of; expected one of \['SGD', 'Adam'"),
    (lambda p: torch.optim.Adam(p, amsgrad=True), 'a step of Adam with amsgrad=True cannot be looked ahead of')])
def test_what_it_does_not_know_is_refused(optimizer, message):
    parameter = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match=message):
        next_weights(optimizer([parameter]), {'w': parameter}, {'w': torch.ones(1)})
