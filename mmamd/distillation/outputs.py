"""What one forward pass leaves behind for the terms of the loss."""

from dataclasses import dataclass, field
from typing import Any

import torch.nn as nn
from torch import Tensor

from mmamd.distillation.maps import as_maps
from mmamd.tasks import task_of


@dataclass
class Outputs:
    """One network's forward pass on one batch; a teacher's carries no gradient.

    Attributes:
        network: To run a part of it again, such as its last stage.
        inputs: The preprocessed images, (N, channels, height, width).
        samples: Their N annotations: labels, soft labels, and a unique ``sample_idx``.
        logits: The network's logits, (N, classes) or (N, classes, ...).
        states: Outputs of the modules that some term watches, by their names in ``network.named_modules()``.
        task: The host's own losses, where a term asks for them.
        progress: Share of the stage that is done, in [0, 1].
        made: What a term has made of it and wants again for the same batch, by the term.
    """

    network: nn.Module
    inputs: Tensor
    samples: list
    logits: Tensor
    states: dict[str, Tensor]
    task: dict[str, Tensor] | None = None
    progress: float = 0.
    made: dict[nn.Module, Any] = field(default_factory=dict)

    def maps(self, name: str) -> Tensor:
        """The state of a module as maps. Raises ValueError as :func:`mmamd.distillation.maps.as_maps`."""
        return as_maps(self.states[name], self.inputs)

    def hard_targets(self) -> Tensor:
        """What is right of each sample, as of :meth:`mmamd.tasks.Task.hard_targets`, on the device of the logits."""
        return task_of(self.network).hard_targets(self.samples).to(self.logits.device)

    def detached(self) -> 'Outputs':
        """The same without its graph."""
        return Outputs(self.network, self.inputs, self.samples, self.logits.detach(),
                       {name: state.detach() for name, state in self.states.items()}, None, self.progress)
