"""Weights of the samples, from the logits of both networks and the targets (KD-Zero, Table 1).

p are the class probabilities, not softened; of a dense prediction the mean over its positions counts, but ``focal``
needs one label an image. It alone can be traced to a source; of the others the paper gives no more than the names, and
the formulas are ours.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.wsld import soft_label_weights
from mmamd.distillation.operations.operation import calibration, per_sample


@calibration('no')
def no(student: Tensor, teacher: Tensor, target: Tensor | None) -> Tensor:
    """1."""
    return student.new_ones(len(student))


@calibration('focal', needs_target=True)
def focal(student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
    """``1 - exp(-CE_s / CE_t)`` of the target: less for what the student knows (Zhou et al., ICLR 2021)."""
    return per_sample(soft_label_weights(student, teacher, target))


@calibration('entropy')
def entropy(student: Tensor, teacher: Tensor, target: Tensor | None) -> Tensor:
    """``1 - H(p_t) / ln K``: more for what the teacher is certain of."""
    entropies = torch.special.entr(teacher.softmax(dim=1)).sum(dim=1)
    return per_sample(1 - entropies / math.log(teacher.shape[1]))


@calibration('conf')
def conf(student: Tensor, teacher: Tensor, target: Tensor | None) -> Tensor:
    """``max p_t``: the teacher's confidence."""
    return per_sample(teacher.softmax(dim=1).amax(dim=1))


@calibration('sim')
def sim(student: Tensor, teacher: Tensor, target: Tensor | None) -> Tensor:
    """``cos(p_s, p_t)``: more for what both agree on."""
    return per_sample(F.cosine_similarity(student.softmax(dim=1), teacher.softmax(dim=1), dim=1))
