"""The gradient of a held-out loss, after a step of the weights, with respect to what the step's loss depends on."""

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

Weights = dict[str, Tensor]
RADIUS = 0.01  # length of the step of the finite difference, as of DARTS (Liu et al., ICLR 2019) and DistPro


def hyper_gradient(train_loss: Callable[[Weights, Tensor], Tensor], held_out_loss: Callable[[Weights], Tensor],
                   step: Callable[[Weights], Weights], weights: Weights, alpha: Tensor,
                   radius: float = RADIUS) -> Tensor:
    """d L_val(w') / d alpha for ``w' = step(grad_w L_train(w, alpha))``, by a finite difference.

    With ``s = (d w' / d gradient)^T grad L_val(w')`` it is the derivative of grad_alpha L_train along s,
    ``(grad_alpha L_train(w + R s) - grad_alpha L_train(w - R s)) / 2 R``, R being radius / |s|. For SGD s is minus the
    learning rate times the validation gradient, and this the second-order step of DARTS. The held-out loss knows no
    alpha, so there is no direct term, and without the look ahead no gradient. Four passes; over several processes all
    gradients are means.

    Args:
        train_loss: Of weights and alpha; asked thrice, for the same batch and the same random numbers.
        held_out_loss: Of weights.
        step: From the gradients to the next weights, such as :func:`mmamd.search.distpro.next_weights`.
        weights: By name; left as they are.
        alpha: Any shape; left as it is.
        radius: Length of R s.

    Returns:
        Of the shape of alpha; 0 where the held-out loss does not depend on the next weights.
    """
    weights = {name: weight.detach() for name, weight in weights.items()}
    alpha = alpha.detach().requires_grad_()
    gradients = _gradients(lambda leaves: train_loss(leaves, alpha.detach()), weights)
    for gradient in gradients.values():
        gradient.requires_grad_()
    moved = step(gradients)
    slopes = _gradients(held_out_loss, {name: weight.detach() for name, weight in moved.items()})
    along = dict(zip(weights, torch.autograd.grad(list(moved.values()), list(gradients.values()),
                                                  list(slopes.values()), materialize_grads=True), strict=True))
    length = torch.stack([each.norm() for each in along.values()]).norm()
    if not length:
        return torch.zeros_like(alpha)
    share = radius / length
    ahead, behind = (_averaged(torch.autograd.grad(train_loss(
        {name: weight + sign * share * along[name] for name, weight in weights.items()}, alpha), [alpha]))[0]
        for sign in (1, -1))
    return (ahead - behind) / (2 * share)


def _gradients(loss: Callable[[Weights], Tensor], weights: Weights) -> Weights:
    """Of a loss, with respect to leaves of their own."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    value = loss(leaves)
    if not value.requires_grad:  # of no weight at all
        return {name: torch.zeros_like(weight) for name, weight in weights.items()}
    found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(weights, _averaged(found), strict=True))


def _averaged(gradients: Sequence[Tensor]) -> Sequence[Tensor]:
    """Their means over processes."""
    found = [gradient.detach() for gradient in gradients]  # in torch 2.6 zeros that were filled in require a gradient
    for gradient in found:
        all_reduce(gradient, 'mean')
    return found
