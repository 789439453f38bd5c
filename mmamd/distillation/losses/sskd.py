"""SSKD: the student sees turned images too, and which of the upright ones they are told to be, as the teacher does.

Legend: N images, R = 3 N turned ones, three rows an image, K columns, C classes, D elements of a vector, T temperature.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.backbones.recalibration import batch_norms, preserved
from mmamd.distillation.connectors import check_pairs
from mmamd.distillation.layers import check_layer
from mmamd.distillation.losses.dkd import check_logits_and_target
from mmamd.distillation.losses.logit import check_temperature, kl_divergences
from mmamd.distillation.losses.loss import Loss, check_weight
from mmamd.distillation.maps import in_form
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import pooled, unit
from mmamd.passes import one_tensor, watch
from mmamd.registry import MODELS

TURNS = (1, 2, 3)  # by 90 degrees each


def turned(images_NCHW: Tensor) -> Tensor:
    """Square images turned by 90, 180 and 270 degrees, (3 N, C, H, W), the three of an image one after the other.

    Raises:
        ValueError: They are not square.
    """
    check_square(images_NCHW)
    return torch.stack([images_NCHW.rot90(turns, (2, 3)) for turns in TURNS], dim=1).flatten(0, 1)


def kept_rows(scores_RK: Tensor, right_R: Tensor, share: float) -> Tensor:
    """The rows that teach: those whose right column scores highest, and a share of the others; bool, shape (R,).

    Of the wrong rows, those are kept in which the right column ranks best, ``floor(share * wrong)`` in number. Of equal
    scores the column of lower index ranks higher, of rows of equal rank the earlier one is kept.

    Source: Xu et al., "Knowledge Distillation Meets Self-Supervision", ECCV 2020, section 3.
    """
    order_RK = scores_RK.argsort(dim=1, descending=True, stable=True)
    rank_R = (order_RK == right_R.unsqueeze(1)).int().argmax(dim=1)
    wrong = (rank_R > 0).sum()
    # 0.29 * 100 is a little less than 29.
    num = len(rank_R) - wrong + (share * wrong.double() + 1e-9).floor()
    return rank_R.argsort(stable=True).argsort() < num


def ranked_loss(student_RK: Tensor, teacher_RK: Tensor, right_R: Tensor, temperature: float = 4.0,
                share: float = 1.0) -> Tensor:
    """``T^2 KL(softmax(teacher / T) || softmax(student / T))`` over columns, mean over the teacher's kept rows.

    Both parts of the term: of logits of turned images, with T 4 and all rows, and of their cosines with the upright
    ones, with T 0.5 and 75 % of the wrong rows. 0 where no row is kept.

    Args:
        student_RK: A row of scores a turned image.
        teacher_RK: Scores of the same shape.
        right_R: The column that is right, int64: the class, or the image that was turned.
        temperature: T > 0.
        share: See :func:`kept_rows`, in [0, 1].

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the scores.

    Raises:
        ValueError: A number is out of its range, or the shapes do not agree.

    Source: as :func:`kept_rows`, as a divergence and not a cross-entropy, as in the authors' code: the gradient is the
    same, and a student like the teacher has 0.
    """
    check_temperature(temperature)
    check_kept_share('share', share)
    divergence_R = kl_divergences(student_RK, teacher_RK, temperature)
    kept_R = kept_rows(teacher_RK, right_R, share)
    return temperature**2 * (divergence_R * kept_R).sum() / kept_R.sum().clamp(min=1)


def cosines(turned_RD: Tensor, upright_ND: Tensor) -> Tensor:
    """Cosine of each turned image's vector with each upright one's, (R, N); 0 with a vector of length 0."""
    with torch.autocast(turned_RD.device.type, enabled=False):
        return unit(turned_RD) @ unit(upright_ND).mT


def contrastive_loss(cosines_RN: Tensor) -> Tensor:
    """Cross-entropy of telling which image was turned, mean over the turned ones.

    Source: as :func:`kept_rows`, with the temperature of the authors' code, 1.
    """
    return F.cross_entropy(cosines_RN, sources(cosines_RN))


def sources(rows_R: Tensor) -> Tensor:
    """Of each row of turned images, the image that was turned, int64, shape (R,)."""
    return torch.arange(len(rows_R), device=rows_R.device) // len(TURNS)


class Heads(nn.Module):
    """Self-supervised heads of a teacher and of the student: two layers of the network's own width."""

    def __init__(self, own: int, others: int) -> None:
        super().__init__()
        self.student, self.teacher = (nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
                                      for width in (own, others))


@MODELS.register_module()
class SSKDLoss(Loss):
    """Of turned images: :func:`ranked_loss` of the logits, and of the cosines with the upright images of the batch.

    The cosines are those of vectors that a head makes of each network's features. The teacher's head is trained first,
    by the same term in the section ``pretrain``, and then left as it is::

        model = dict(losses=dict(ce=dict(weight=0.1), logit=dict(temperature=4., weight=0.9), feat=dict(weight=0.),
                                 sskd=dict(type='mmamd.SSKDLoss')))
        pretrain = dict(trains='losses', train_cfg=dict(max_epochs=60),
                        losses=dict(sskd=dict(learns='head'), ce=dict(weight=0.), logit=dict(weight=0.)))

    Without it, the term is refused. The weights of ``ce`` and ``logit``, which are of the upright images, are the
    authors' too.

    Turned are the images of the batch as the networks get them, mixed ones included. Under mixup or cutmix a logit is
    right if it is that of the larger share, the argmax of ``gt_score``; cosines need no label. The upright images are
    those of one process, of which one alone has nothing to be told from.

    Each network runs again on three times the batch, which costs three steps more. The student does so as the candidate
    that is active and in its mode, with gradient. A batch norm in training mode then normalises the turned images by
    their own statistics, not with the upright ones as in the authors' code, and its running statistics stay those of
    upright images, which are what the student is made for.

    Args:
        layer: Modules whose outputs are the features, the student's and the teacher's, by name: by default the
            backbones, whose outputs the heads classify; of maps and tokens the mean over positions.
        learns: ``'student'``, or ``'head'`` for :func:`contrastive_loss` of the teacher's, in the section ``pretrain``.
        transformed, similarity: Weights of the two parts, of logits and of cosines; one of 0 is not computed, and
            without cosines nothing is to be pre-trained.
        transformed_temperature, similarity_temperature: Their T > 0.
        transformed_share, similarity_share: Their share of the wrong rows that are kept, in [0, 1].
        weight: Factor of the term. The defaults are those of Xu et al. 2020 for CIFAR-100.

    Raises:
        ValueError: An option is none of these; images are not square; there is not one vector of logits an image.
    """

    joint = False
    teacher_passes = len(TURNS)

    def __init__(self, *, layer: tuple[str, str] = ('backbone', 'backbone'), learns: str = 'student',
                 transformed: float = 2.7, similarity: float = 10.0, transformed_temperature: float = 4.0,
                 similarity_temperature: float = 0.5, transformed_share: float = 1.0, similarity_share: float = 0.75,
                 weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        if learns not in ('student', 'head'):
            raise ValueError(f"learns must be 'student' or 'head', got {learns!r}")
        check_parts(transformed, similarity)
        for name, temperature in (('transformed_temperature', transformed_temperature),
                                  ('similarity_temperature', similarity_temperature)):
            check_temperature(temperature, name)
        for name, share in (('transformed_share', transformed_share), ('similarity_share', similarity_share)):
            check_kept_share(name, share)
        self.layer = check_layer(layer, ())
        self.pretrains = learns == 'head'
        self.prepared = not self.pretrains and similarity > 0
        self.student_passes = 0 if self.pretrains else len(TURNS)
        self.transformed = transformed
        self.similarity = similarity
        self.transformed_options = dict(temperature=transformed_temperature, share=transformed_share)
        self.similarity_options = dict(temperature=similarity_temperature, share=similarity_share)
        self.heads = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return check_pairs([self.layer], student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        check_square(student.inputs)
        for ((own, others),), teacher in zip(self.pairs, teachers, strict=True):
            vectors = in_form(pooled, (own, others), student, teacher)
            self.heads.append(Heads(*(each.shape[1] for each in vectors)))
        self.macs = (1 + len(TURNS)) * sum(self._macs_of(heads) for heads in self.heads)

    def _macs_of(self, heads: Heads) -> int:
        """Of one image of the head that learns, with its backward pass, and of the teacher's beside the student's."""
        own, others = (sum(layer.weight.numel() for layer in (head[0], head[2]))
                       for head in (heads.student, heads.teacher))
        return 3 * others if self.pretrains else (self.similarity > 0) * (3 * own + others)

    def ahead(self, teacher: Outputs) -> None:
        self._run_turned(teacher, self.layer[1], 'teacher')

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor | dict[str, Tensor]:
        (own, others), = self.pairs[index]
        heads, teacher_RC = self.heads[index], teacher.made[self][0]
        if self.pretrains:
            return contrastive_loss(self._cosines(heads.teacher, teacher, others))
        if self not in student.made:  # with several teachers, the first
            self._run_turned(student, own, 'student')
        student_RC = student.made[self][0]
        values = {}
        if self.transformed:
            target_R = student.hard_targets().repeat_interleave(len(TURNS))
            check_logits_and_target('SSKD', student_RC, teacher_RC, target_R)
            values['loss_transformed'] = self.transformed * ranked_loss(student_RC, teacher_RC, target_R,
                                                                        **self.transformed_options)
        if self.similarity:
            with torch.no_grad():
                teacher_RN = self._cosines(heads.teacher, teacher, others)
            values['loss_similarity'] = self.similarity * ranked_loss(
                self._cosines(heads.student, student, own), teacher_RN, sources(teacher_RN), **self.similarity_options)
        return values

    def _run_turned(self, outputs: Outputs, name: str, whose: str) -> None:
        """Keep logits and features of the turned images."""
        network = outputs.network
        with preserved(batch_norms(network)), watch(network, [name]) as seen:
            logits = network(turned(outputs.inputs), mode='tensor')
        outputs.made[self] = logits, one_tensor(seen, name, whose)

    def _cosines(self, head: nn.Module, outputs: Outputs, name: str) -> Tensor:
        # Cosines are divided by T, so that they are wanted to more digits than bfloat16 has.
        with torch.autocast(outputs.inputs.device.type, enabled=False):
            return cosines(*(head(pooled(state, outputs.inputs))
                             for state in (outputs.made[self][1], outputs.states[name])))


# --- what is refused ---

def check_square(images_NCHW: Tensor) -> None:
    """Raises ValueError unless the images are as high as they are wide."""
    height, width = images_NCHW.shape[2:]
    if height != width:
        raise ValueError(f'SSKD turns images by 90 degrees, which must be square for that, got {height} x {width}; '
                         'crop or resize them to a square, or leave the term out by weight=0')


def check_parts(transformed: float, similarity: float) -> None:
    """Raises ValueError unless both weights are finite and >= 0, and one of them is positive."""
    for name, weight in (('transformed', transformed), ('similarity', similarity)):
        check_weight(name, weight, 'SSKD weighs the logits of turned images and their cosines with upright ones')
    if not transformed and not similarity:
        raise ValueError('transformed and similarity are both 0, so nothing is compared; make one positive, or leave '
                         'SSKD out by weight=0')


def check_kept_share(name: str, share: float) -> None:
    """Raises ValueError unless a share lies in [0, 1]."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {share!r}; it is the part of the teacher's wrong rows that "
                         'is kept, and 1 keeps all of them')
