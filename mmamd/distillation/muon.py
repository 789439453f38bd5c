"""Muon for the matrices of a backbone's blocks, AdamW for the rest, in one optimizer.

Legend: M outputs and N inputs of a linear layer.
"""

from collections import defaultdict
from collections.abc import Callable

import torch
import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import Tensor
from torch.optim import AdamW, Optimizer

from mmamd.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS

FUSED = 'qkv'  # last name of a layer whose rows are three matrices: those of queries, keys and values
CONSTRUCTOR = 'mmamd.MuonConstructor'


@OPTIMIZERS.register_module()
class Muon(Optimizer):
    """Steps of matrices are made orthogonal (torch.optim.Muon); all other parameters are AdamW's (torch.optim.AdamW).

    A matrix steps by ``lr * 0.2 * sqrt(max(M, N))`` times the orthogonal factor of its momentum, which has the root
    mean square of a step of AdamW, so that one rate, and one weight decay, serve both. Two things differ from torch's:

    Only the leading rows and columns that have had a gradient are a matrix here. Of a network that trains as a small
    candidate the rest has none: the factor of the full shape would make the steps of ViT-B at 10 % of its neurons twice
    as long, and most products would be of zeros. The rest does not decay either.

    Queries, keys and values of one fused layer are three matrices, in each of which the active heads lead.

    Args:
        params: Parameter groups. Those with ``parts=n``, n at least 1, hold weights of n stacked matrices;
            :class:`MuonConstructor`, which the pipeline takes for it, says which these are.
        lr: Learning rate of both.
        weight_decay: Decoupled, of both.
        momentum: Of matrices: weight of the past in their running mean gradient, with Nesterov's look ahead.
        betas, eps: Of AdamW.

    Raises:
        ValueError: If an option is out of its range, or there is no matrix.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", which advises to part fused
    layers; Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2, for the factor.
    """

    def __init__(self, params, *, lr: float, weight_decay: float = 0.01, momentum: float = 0.95,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}; 0.95 is what its authors take')
        # It is lent groups and state at each step, and has none of its own.
        self._adamw = AdamW([torch.zeros(1)], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, {**self._adamw.defaults, 'momentum': momentum, 'parts': 0})
        if not any(group['parts'] for group in self.param_groups):
            raise ValueError("mmamd.Muon was given no matrix; set optim_wrapper.constructor='mmamd.MuonConstructor', "
                             'which the pipeline does by itself, or another optimizer')

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._adamw.param_groups = [group for group in self.param_groups if not group['parts']]
        self._adamw.state = self.state
        self._adamw.step()
        self._step_matrices()
        return loss

    def _step_matrices(self) -> None:
        by_rate = defaultdict(list)  # (rate, decay, momentum) -> active parts of matrices, and of their momenta
        for group in self.param_groups:
            for weight in group['params'] if group['parts'] else ():
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state['momentum_buffer'] = torch.zeros_like(weight)
                stacked = weight.detach(), weight.grad, state['momentum_buffer']
                for part in zip(*(tensor.chunk(group['parts']) for tensor in stacked), strict=True):
                    rows, columns = active_shape(*part[1:])
                    if rows and columns:
                        by_rate[group['lr'], group['weight_decay'], group['momentum']].append(
                            [tensor[:rows, :columns] for tensor in part])
        for (lr, decay, momentum), parts in by_rate.items():
            _muon_step(parts, lr, decay, momentum)


def _muon_step(parts: list[list[Tensor]], lr: float, weight_decay: float, momentum: float) -> None:
    """A step of torch's Muon of (weight, gradient, momentum) each, views that it changes in place."""
    for weight, gradient, _ in parts:
        weight.grad = gradient
    optimizer = torch.optim.Muon([weight for weight, _, _ in parts], lr=lr, weight_decay=weight_decay,
                                 momentum=momentum, adjust_lr_fn='match_rms_adamw')
    for weight, _, buffer in parts:
        optimizer.state[weight] = {'momentum_buffer': buffer}
    optimizer.step()


def active_shape(*tensors_MN: Tensor) -> tuple[int, int]:
    """Rows and columns up to the last that is not 0 in all of some tensors."""
    used_MN = torch.stack([tensor != 0 for tensor in tensors_MN]).any(0)
    rows, columns = (used_MN.any(dim).nonzero().flatten().tolist() for dim in (1, 0))
    return (rows[-1] + 1 if rows else 0), (columns[-1] + 1 if columns else 0)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MuonConstructor(DefaultOptimWrapperConstructor):
    """The host's constructor, with all its ``paramwise_cfg``, that tells :class:`Muon` which weights are matrices."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # Without any rule the host would hand over parameters without their names.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs) -> None:
        super().add_params(params, module, prefix, **kwargs)
        if not prefix:  # and not of a module within
            parts = matrices(module)
            for group in params:
                group['parts'] = parts.get(group['params'][0], 0)


def matrices(model: nn.Module) -> dict[nn.Parameter, int]:
    """Weights of the linear layers of a backbone that are trained -> the number of matrices that each stacks.

    Embeddings, positions, the head, what a term of the loss owns, and convolutions are left to AdamW.

    Raises:
        ValueError: If there is none.
    """
    found = {module.weight: 3 if name.endswith(f'.{FUSED}') else 1 for name, module in model.named_modules()
             if isinstance(module, nn.Linear) and 'backbone' in name.split('.') and module.weight.requires_grad}
    if not found:
        raise ValueError('mmamd.Muon steps the matrices of linear layers, and the backbone that is trained has none; '
                         "set optim_wrapper.optimizer.type='AdamW'")
    return found


def is_muon(optim_wrapper: dict) -> bool:
    """Whether settings of an optimizer wrapper name :class:`Muon`."""
    return (optim_wrapper.get('optimizer') or {}).get('type') == 'mmamd.Muon'


def with_constructor(optim_wrapper: dict) -> dict:
    """Settings of an optimizer wrapper with the constructor that :class:`Muon` needs; those of others as they are."""
    return {'constructor': CONSTRUCTOR, **optim_wrapper} if is_muon(optim_wrapper) else optim_wrapper


def check_muon(optim_wrapper: dict, model: nn.Module) -> None:
    """Raise ValueError or TypeError if :class:`Muon` refuses its options or the model."""
    if optim_wrapper.get('constructor', CONSTRUCTOR) != CONSTRUCTOR:
        raise ValueError(f'constructor={optim_wrapper["constructor"]!r} does not tell mmamd.Muon which weights are '
                         'matrices; leave it out')
    matrices(model)
    options = {key: value for key, value in optim_wrapper['optimizer'].items() if key != 'type'}
    Muon([{'params': [torch.zeros(1, 1)], 'parts': 1}], **options)
