"""A network with numbers that are not finite leaves the project in no form."""

import torch
import torch.nn as nn


def check_finite(network: nn.Module, what: str) -> None:
    """Raise ValueError if a weight of a network is not finite.

    Args:
        network: Any network.
        what: What it is called in the message.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f'{what} has numbers in {name} that are not finite, so its training diverged or its file '
                             'is damaged; nothing is written. Redo the stage that made it (--start-from), with a lower '
                             'learning rate if it was training')
