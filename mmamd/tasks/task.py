"""The contract of a task, and how a network's task is found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn as nn
from mmengine.config import Config
from PIL.Image import Image
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
        metric: Key of the metric that a choice rests on, where a config names none; larger is better.
        is_percent: Whether that metric is in percent.
        classes_key: Where the network's config says how many classes there are.
        scales_backbone: Whether scales are shares of the backbone's cost alone; else of the whole network's.
        any_size: Whether images may have another size than the one that costs speak of.
        expected_data: What a data set is read from.
        answers: What a network answers once each, in the plural.
        class_measure: Name of what :meth:`by_class` measures.
    """

    scope: str
    metric: str
    is_percent: bool
    classes_key: str
    scales_backbone = False
    any_size = False
    expected_data: str
    answers = 'training images'
    class_measure: str

    def check_installed(self) -> None:
        """Raise ValueError, with what to install, unless the host can build its networks here."""

    @staticmethod
    def is_of(network: nn.Module) -> bool:
        """Whether a network that has been built is of this task."""
        raise NotImplementedError

    def check_network(self, network: nn.Module) -> None:
        """Raise ValueError for a network of this task that cannot be compressed, or that its own settings break."""

    def logits_from(self, network: nn.Module) -> str:
        """Name of the module whose output is the logits, where a config names none.

        Raises:
            ValueError: If the network has no such module.
        """
        raise NotImplementedError

    def collate(self, samples: list[dict]) -> dict:
        """Samples of a data set as a batch."""
        raise NotImplementedError

    def preprocess(self, network: nn.Module, batch: dict, training: bool) -> dict:
        """``inputs`` and ``data_samples`` of a batch, as the network wants them.

        Raises:
            ValueError: If its images cannot be one batch.
        """
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

    def about_missing(self, classes: list[int]) -> str:
        """What may be the cause where a data set has none of some classes; empty where nothing is known."""
        return ''

    def classes_in(self, info: dict) -> set[int] | None:
        """Classes of one image of a data set, whose label has been checked; None where annotations do not tell."""
        return None

    def identity(self, info: dict) -> bytes:
        """What an image is known by: its name and its label, wherever it lies."""
        raise NotImplementedError

    def hard_targets(self, samples: list) -> Tensor:
        """One class index a position to classify."""
        raise NotImplementedError

    def labelled(self, samples: list, size: tuple[int, int]) -> Tensor | None:
        """Which positions of logits of (height, width) have a class, bool, shape (N, height, width); None where all."""
        return None

    def classified(self, logits: Tensor, samples: list) -> tuple[Tensor, Tensor] | None:
        """Classes that logits say and those that are right, int64, shape (M,) each; None where that is not known."""
        return None

    def measure(self, metric: Any, results: list) -> dict[str, float]:
        """The scalars that one of the host's metrics makes of its collected results, unrounded."""
        raise NotImplementedError

    def resampled(self, metric: Any, results: list, draws_BN: np.ndarray) -> Iterator[list]:
        """Collected results of which a metric makes what it makes of the results of each draw.

        Args:
            metric: One of the host's.
            results: What it has collected, one an image.
            draws_BN: Indices of images, N for each of B draws.
        """
        return ([results[i] for i in draw] for draw in draws_BN)

    def is_finite(self, results: list) -> bool:
        """Whether the scores in a metric's collected results are finite; True where it has collected none."""
        return True

    def unseeing(self, results: list) -> list | None:
        """The results of the best network that does not look at the images; None where these do not tell."""
        return None

    def by_class(self, results: list) -> list[float | None] | None:
        """A measure of each class in percent, from a metric's collected results; None where these do not tell.

        None stands for a class that does not occur.
        """
        return None

    # --- what is behind the backbone ---

    def rest(self, network: nn.Module, features: tuple) -> Any:
        """Run all of the network that is behind its backbone on what the backbone returns."""
        raise NotImplementedError

    def classifiers(self, network: nn.Module) -> dict[str, nn.Module]:
        """Linear layers or 1 x 1 convolutions whose outputs are the logits, or are added up to them, by name.

        None of a head that reads more than the backbone's last stage.
        """
        raise NotImplementedError

    # --- what a report shows of some images ---

    def classes_of(self, dataset: Any) -> list[int]:
        """Class of every image, to spread the shown ones by; where images have none, the same for all."""
        raise NotImplementedError

    def class_names(self, dataset: Any) -> list[str] | None:
        """Names of the classes; None where nothing tells them."""
        raise NotImplementedError

    def palette(self, dataset: Any) -> list[list[int]] | None:
        """Colours of the classes, 0 to 255, where each pixel has a class; None where they have none."""
        return None

    def picture(self, sample: Any, palette: list[list[int]], is_said: bool) -> Image:
        """The classes of a sample's pixels in colours: those that a network has said, or those that are right."""
        raise NotImplementedError

    def why_not_shown(self, items: list[dict], predicted: Any) -> str | None:
        """Why images cannot be shown with what networks say of them; None if they can."""
        raise NotImplementedError

    def label_of(self, item: dict) -> int:
        """The class of a shown image."""
        raise NotImplementedError

    def prediction_of(self, predicted: Any) -> tuple[int, float]:
        """What a network takes for the class of a shown image, and the probability that it gives it."""
        raise NotImplementedError

    # --- the exported network ---

    def meta(self, dataset: Any) -> dict:
        """What the host's tools look for in a checkpoint beside the weights, as plain values."""
        return {}

    def rebuild(self, config: str | Path | Config, weights: str | Path, device: str = 'cpu') -> nn.Module:
        """The network of an exported config with its weights, in eval mode."""
        raise NotImplementedError


def task_named(scope: str | None) -> Task:
    """The task of a host's scope; that of MMPretrain where a config names none. Raises ValueError for another."""
    scope = scope or 'mmpretrain'
    for task in reversed(TASKS):  # the first one of a scope is its general one
        if task.scope == scope:
            return task()
    raise ValueError(f'there is no task of the scope {scope!r}; expected one of {sorted({t.scope for t in TASKS})}')


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
