"""The contract of a task, and how a network's task is found."""

from pathlib import Path
from typing import Any

import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

TASKS: list[type['Task']] = []  # in the order in which a network is asked for its task


def register_task(task: type['Task']) -> type['Task']:
    """Register a task; it is asked before those that were registered earlier, so it may be a narrower one."""
    TASKS.insert(0, task)
    return task


class Task:
    """What the stages ask of a task; they know nothing else of it. Its samples are those of the host's data sets.

    Attributes:
        scope: The host's registry scope.
        logits_from: Name of the module whose output is the logits, where a config names none.
        metric: Key of the metric that a choice rests on, where a config names none; larger is better.
        is_percent: Whether that metric is in percent.
    """

    scope: str
    logits_from: str
    metric: str
    is_percent: bool

    @staticmethod
    def is_of(network: nn.Module) -> bool:
        """Whether a network that has been built is of this task."""
        raise NotImplementedError

    def collate(self, samples: list[dict]) -> dict:
        """Samples of a data set as a batch."""
        raise NotImplementedError

    def preprocess(self, network: nn.Module, batch: dict, training: bool) -> dict:
        """``inputs`` and ``data_samples`` of a batch, as the network wants them."""
        raise NotImplementedError

    def example(self, network: nn.Module) -> Any:
        """An annotation that the network's loss accepts."""
        raise NotImplementedError

    def num_classes(self, network: nn.Module) -> int | None:
        """How many classes the network's head tells apart; None where that is not known."""
        raise NotImplementedError

    def check(self, info: dict, num_classes: int) -> str | None:
        """What is wrong with the label of one image of a data set, in a clause; None if nothing is."""
        raise NotImplementedError

    def identity(self, info: dict) -> bytes:
        """What an image is known by: its name and its label, wherever it lies."""
        raise NotImplementedError

    def hard_targets(self, samples: list) -> Tensor:
        """One class index a position to classify."""
        raise NotImplementedError

    def measure(self, metric: Any, results: list) -> dict[str, float]:
        """The scalars that one of the host's metrics makes of its collected results, unrounded."""
        raise NotImplementedError

    def rebuild(self, config: str | Path | Config, weights: str | Path, device: str = 'cpu') -> nn.Module:
        """The network of an exported config with its weights, in eval mode."""
        raise NotImplementedError


def task_of(network: nn.Module) -> Task:
    """The task of a network that has been built.

    Raises:
        ValueError: If it is of none.
    """
    for task in TASKS:
        if task.is_of(network):
            return task()
    raise ValueError(f'{type(network).__name__} is a network of no known task; expected a subclass of one of the '
                     f'hosts\' base classes, for {", ".join(task.__name__.lower() for task in TASKS)}')
