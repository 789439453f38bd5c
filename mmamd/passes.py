"""One pass through a network: its modes while it lasts, and what its modules leave behind."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn as nn
from torch import Tensor

from mmamd.nearest import did_you_mean

GIVEN = ':in'  # behind the name of a module: what it is given, in place of what it puts out


@contextmanager
def frozen_eval(network: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients for the parameters while the context lasts.

    Restores each module's and parameter's own flag: a network in training mode may hold modules kept in eval mode.
    """
    requires_grad = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    training = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        network.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in requires_grad:
            parameter.requires_grad_(flag)


@contextmanager
def watch(network: nn.Module, names: Iterable[str],
          read: Callable[[Any, Any], Any] = lambda output, _before: output) -> Iterator[dict[str, Any]]:
    """What some modules of a network put out while the context lasts; nothing stays on the network afterwards.

    Args:
        network: The network that is run within the context.
        names: Names of its modules, as in ``network.named_modules()``; ``'NAME:in'`` is a copy of what the module is
            given, such as a state before its ReLU, which may work in place.
        read: From an output, and what was kept of an earlier one (else None), to what is kept: by default the latest
            output itself. It is called at once, because what follows may change an output in place; of an output
            that is kept as it is, such a change is refused.

    Yields:
        Name -> what is kept, of the modules that have run so far.

    Raises:
        ValueError: If the network has no module of a name; it offers the nearest. If what a module has put out was
            changed in place behind it.
    """
    seen: dict[str, Any] = {}
    versions: dict[str, int] = {}

    def keep(name: str, value: Any) -> None:
        seen[name] = read(value, seen.get(name))
        if seen[name] is value and isinstance(value, Tensor) and not value.is_inference():
            versions[name] = value._version

    modules = {name: module_of(network, name) for name in names}
    hooks = [module.register_forward_pre_hook(lambda _module, args, name=name: keep(name, _copied(args)))
             if name.endswith(GIVEN) else
             module.register_forward_hook(lambda _module, _args, output, name=name: keep(name, output))
             for name, module in modules.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
    for name, version in versions.items():
        if name in seen and seen[name]._version != version:
            raise ValueError(f'what the module {name!r} of a {type(network).__name__} puts out is changed in place '
                             f"behind it, as by a ReLU; name what changes it, with '{GIVEN}' behind its name for the "
                             'state before, or the block that both are in')


def _copied(args: tuple) -> tuple:
    return tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)


def module_of(network: nn.Module, name: str) -> nn.Module:
    """The module of a name that is watched. Raises ValueError that offers the nearest names."""
    name = name.removesuffix(GIVEN)
    try:
        return network.get_submodule(name)
    except AttributeError:
        near = did_you_mean(name, dict(network.named_modules()))
        raise ValueError(f'{type(network).__name__} has no module {name!r}{near}') from None


def one_tensor(seen: dict[str, Any], name: str, whose: str) -> Tensor:
    """What was kept of a watched module, which must have run; and must be one tensor, if in a tuple.

    Raises:
        ValueError: If it is not so; it names the module and whose it is.
    """
    found = seen.get(name)
    if isinstance(found, (tuple, list)) and len(found) == 1:
        found, = found  # as a backbone puts out the features of its last stage
    if not isinstance(found, Tensor):
        what = f'gives a {type(seen[name]).__name__}' if name in seen else 'is not run itself'
        raise ValueError(f'module {name!r} of the {whose} {what}; expected a module whose output is one tensor: name '
                         'a stage or a block within it')
    return found
