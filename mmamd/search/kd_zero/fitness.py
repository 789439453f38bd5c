"""What a distiller has made of a student, as one number to be minimised (KD-Zero, Eq. 2).

Legend: N samples, C classes, D and E elements of an embedding.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from mmamd.distillation.losses.loss import check_weight

Sign = Literal['absolute', 'paper_eq2', 'teacher_minus_student']
SIGNS = {'absolute': abs, 'paper_eq2': lambda difference: difference,
         'teacher_minus_student': lambda difference: -difference}


def sharpness(logits_NC: Tensor, centred: bool = True) -> Tensor:
    """``ln sum_j e^z_j``, mean over samples; centred, of logits whose mean is 0 in each sample, as Eq. 4 assumes.

    Centring makes it blind to a constant that is added to all logits, which no probability changes by.
    """
    logits_NC = logits_NC.double()
    if centred:
        logits_NC = logits_NC - logits_NC.mean(dim=1, keepdim=True)
    return logits_NC.logsumexp(dim=1).mean()


def sharpness_gap(student_NC: Tensor, teacher_NC: Tensor, sign: Sign = 'absolute', centred: bool = True) -> Tensor:
    """Difference of :func:`sharpness`.

    Args:
        sign: ``'absolute'``, the distance of both; ``'paper_eq2'``, student minus teacher as Eq. 2 is printed, whose
            minimum is a student that is infinitely less sharp; ``'teacher_minus_student'``, as Eq. 4 has it.

    Raises:
        ValueError: There is no such sign.
    """
    check_sign(sign)
    return SIGNS[sign](sharpness(student_NC, centred) - sharpness(teacher_NC, centred))


def linear_cka(x_ND: Tensor, y_NE: Tensor) -> Tensor:
    """``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` of the centred Grams K and L, in [0, 1]; 0 if one does not vary.

    Blind to the scale and the rotation of each. Source: Kornblith et al., "Similarity of Neural Network Representations
    Revisited", ICML 2019.
    """
    grams = [x.double() - x.double().mean(dim=0) for x in (x_ND, y_NE)]
    k_NN, l_NN = (x @ x.T for x in grams)
    lengths = k_NN.norm() * l_NN.norm()
    return (k_NN * l_NN).sum() / lengths.masked_fill(lengths == 0, 1)


@dataclass(frozen=True)
class Fitness:
    """The parts of Eq. 2 and how they are added up: ``task CE + gap G + cka (1 - CKA)``.

    Attributes:
        task, gap, cka: Weights of the cross-entropy, the sharpness gap and what the CKA of the embeddings lacks to 1,
            which differs from the minus CKA of Eq. 2 by a constant; >= 0.
        sign, centred: See :func:`sharpness_gap`.

    Raises:
        ValueError: A weight is negative, or there is no such sign.
    """

    task: float = 1.
    gap: float = 1.
    cka: float = 1.
    sign: Sign = 'absolute'
    centred: bool = True

    def __post_init__(self) -> None:
        for name in ('task', 'gap', 'cka'):
            check_weight(name, getattr(self, name), 'it weighs a part of the fitness')
        check_sign(self.sign)

    def __call__(self, student_NC: Tensor, teacher_NC: Tensor, target_N: Tensor, student_ND: Tensor,
                 teacher_NE: Tensor) -> dict[str, float]:
        """``'fitness'``, and its parts unweighted, of the logits and embeddings of the same images.

        Args:
            student_NC, teacher_NC: Logits; each (N, C).
            target_N: Class indices, int64.
            student_ND, teacher_NE: Embeddings, whose widths may differ.
        """
        task = F.cross_entropy(student_NC.double(), target_N)
        gap = sharpness_gap(student_NC, teacher_NC, self.sign, self.centred)
        cka = linear_cka(student_ND, teacher_NE)
        total = self.task * task + self.gap * gap + self.cka * (1 - cka)
        return {'fitness': total.item(), 'task': task.item(), 'gap': gap.item(), 'cka': cka.item()}


def check_sign(sign: str) -> None:
    """Raise ValueError unless there is such a sign of the sharpness gap."""
    if sign not in SIGNS:
        raise ValueError(f'sign must be one of {", ".join(map(repr, SIGNS))}, got {sign!r}')
