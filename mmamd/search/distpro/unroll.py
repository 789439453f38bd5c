"""One step of an optimizer as a function of the gradients, which can be differentiated and changes nothing."""

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer


def next_weights(optimizer: Optimizer, parameters: dict[str, nn.Parameter],
                 gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the optimizer's next step would make of its parameters, with the momentum that it has.

    Args:
        optimizer: Plain or Nesterov SGD, Adam or AdamW.
        parameters: By name, each one of the optimizer's.
        gradients: Of the same names; the result is a function of them.

    Raises:
        ValueError: Another optimizer, or an option of it that is not known here.
    """
    check_optimizer(optimizer)
    groups = {parameter: group for group in optimizer.param_groups for parameter in group['params']}
    return {name: STEPS[type(optimizer)](parameters[name].detach(), gradient, groups[parameters[name]],
                                         optimizer.state.get(parameters[name], {}))
            for name, gradient in gradients.items()}


def check_optimizer(optimizer: Optimizer) -> None:
    """Raise ValueError unless the step of the optimizer is known here."""
    if type(optimizer) not in STEPS:
        raise ValueError(f'a step of {type(optimizer).__name__} cannot be looked ahead of; expected one of '
                         f'{[each.__name__ for each in STEPS]}')
    odd = next((name for name in ('amsgrad', 'maximize') if any(group.get(name) for group in optimizer.param_groups)),
               None)
    if odd is not None:
        raise ValueError(f'a step of {type(optimizer).__name__} with {odd}=True cannot be looked ahead of; leave it '
                         'out')


def _sgd(weight: Tensor, gradient: Tensor, group: dict, state: dict) -> Tensor:
    gradient = gradient + group['weight_decay'] * weight
    if group['momentum']:
        earlier = state.get('momentum_buffer')  # none before the first step
        buffer = gradient if earlier is None else (
            group['momentum'] * earlier + (1 - group['dampening']) * gradient)
        gradient = gradient + group['momentum'] * buffer if group['nesterov'] else buffer
    return weight - group['lr'] * gradient


def _adam(weight: Tensor, gradient: Tensor, group: dict, state: dict) -> Tensor:
    return _moments_step(weight, gradient + group['weight_decay'] * weight, group, state)


def _adamw(weight: Tensor, gradient: Tensor, group: dict, state: dict) -> Tensor:
    return _moments_step(weight * (1 - group['lr'] * group['weight_decay']), gradient, group, state)


def _moments_step(weight: Tensor, gradient: Tensor, group: dict, state: dict) -> Tensor:
    (beta1, beta2), number = group['betas'], float(state.get('step', 0)) + 1
    first = beta1 * state.get('exp_avg', 0.) + (1 - beta1) * gradient
    second = beta2 * state.get('exp_avg_sq', 0.) + (1 - beta2) * gradient.square()
    moves = second > 0  # a root has no gradient at 0; what has never had one stays where it is
    size = torch.where(moves, second, 1.).sqrt() / (1 - beta2**number)**0.5 + group['eps']
    return weight - group['lr'] / (1 - beta1**number) * torch.where(moves, first / size, 0.)


STEPS = {SGD: _sgd, Adam: _adam, AdamW: _adamw}
