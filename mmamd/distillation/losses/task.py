"""The task's own loss: what the host's head computes from labels."""

from torch import Tensor

from mmamd.distillation.losses.loss import Loss
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


@MODELS.register_module()
class TaskLoss(Loss):
    """The host's losses as they are: label smoothing, soft labels and auxiliary heads are the head's.

    Values of the head that are no losses, such as an accuracy, are logged and not weighted.

    Source: AMD, supplement 5.1 (L_ce).
    """

    needs_teacher = False
    needs_task = True

    def compare(self, student: Outputs, teacher: None, index: int) -> dict[str, Tensor]:
        return student.task
