"""How the classes of a network go together, of student and teacher: what a distillation of relations brings together.

Shapes: N samples, C classes.
"""

import torch
from torch import Tensor

from mmamd.structures import Maps

MOST_CLASSES = 100  # of a picture; of more, single classes cannot be seen


def correlation(logits_NC: Tensor) -> Tensor:
    """Correlation of the logits of each two classes over samples, (C, C); 0 of a class whose logit is constant."""
    return torch.corrcoef(logits_NC.double().T).nan_to_num(0.)


def correlation_maps(student_NC: Tensor, teacher_NC: Tensor) -> Maps:
    """The correlations of both, class x class. Source: KD-Zero, Figure 7."""
    student_CC, teacher_CC = correlation(student_NC), correlation(teacher_NC)
    apart = (student_CC - teacher_CC).abs().mean().item()
    return Maps('correlation', 'Which classes go together',
                'Correlation of the logits of each two classes, over some test images. Those of student and teacher '
                f'are {apart:.3f} apart, in the mean of their absolute differences.', 'correlation',
                {name: [[round(value, 3) for value in row] for row in found.tolist()]
                 for name, found in (('teacher', teacher_CC), ('student', student_CC))}, rows='class', columns='class')
