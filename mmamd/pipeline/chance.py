"""Whether a network tells classes apart at all: its answers against the same answers given to images at random.

Shapes: N images, C classes.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from mmengine import dist
from torch import Tensor

from mmamd.tasks import Task

LEVEL = 0.01  # probability of so many right answers, given at random, from which they count as chance


def share_by_chance(said_C: Tensor, right_C: Tensor) -> float:
    """Share of right answers if the same answers were given to the images at random, as in Cohen's kappa.

    Args:
        said_C: How often each class was the answer.
        right_C: How often each class was right.
    """
    return float((said_C / said_C.sum()) @ (right_C / right_C.sum()))


def probability_of(num_right: int, num: int, share: float) -> float:
    """Probability of at least so many right answers of ``num`` independent ones that are right with ``share``."""
    if num_right <= 0 or share >= 1:
        return 1.
    if share <= 0:
        return 0.
    return math.fsum(math.exp(math.lgamma(num + 1) - math.lgamma(i + 1) - math.lgamma(num - i + 1)
                              + i * math.log(share) + (num - i) * math.log1p(-share))
                     for i in range(num_right, num + 1))


class Answers:
    """What a network takes images, or places in them, for, counted on the way.

    Args:
        task: Of the network.
        num_classes: C.
    """

    def __init__(self, task: Task, num_classes: int) -> None:
        self._task = task
        self._counts_3C = torch.zeros(3, num_classes, dtype=torch.float64)  # said, right, and both at once

    def counting(self, batches: Iterable[dict], seen: dict[str, Any], name: str) -> Iterator[dict]:
        """The batches; asking for the next one counts what the network has said of the one before.

        Args:
            batches: Preprocessed.
            seen: What is watched of the network.
            name: Of the module whose output is the logits.
        """
        for batch in batches:
            yield batch
            logits = seen.pop(name, None)
            found = self._task.classified(logits, batch['data_samples']) if isinstance(logits, Tensor) else None
            if found is not None:
                said_N, right_N = (each.cpu() for each in found)
                for row, classes in zip(self._counts_3C, (said_N, right_N, said_N[said_N == right_N]), strict=True):
                    row += torch.bincount(classes, minlength=len(row))

    def check(self, teacher: str) -> None:
        """Raise ValueError unless all ranks' answers are better than chance; all ranks must call it.

        Answers of a single right class tell nothing.
        """
        dist.all_reduce(self._counts_3C, op='sum')
        said_C, right_C, both_C = self._counts_3C
        if (right_C > 0).sum() < 2:
            return
        num, num_right, share = int(right_C.sum()), int(both_C.sum()), share_by_chance(said_C, right_C)
        if probability_of(num_right, num, share) > LEVEL:
            raise ValueError(
                f'the teacher {teacher} is right on {num_right} of {num} {self._task.answers} '
                f'({num_right / num:.1%}), and the same answers given at random would be on {share * num:.0f} '
                f'({share:.1%}): it is no better than chance. Likely causes: another number of heads than it was '
                'trained with, which no shape tells (model.architecture.backbone.arch.num_heads); another '
                'normalisation or order of channels (data_preprocessor.mean, .std, .to_rgb or .bgr_to_rgb); classes in '
                'another order than the labels of the data; a checkpoint that was never trained. If that is '
                'meant, set compression.importance.check_teacher=False')
