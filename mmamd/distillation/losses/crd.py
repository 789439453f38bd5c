"""Contrastive representation distillation: of many images, the student must tell which one the teacher has seen.

Legend: N samples, C channels, D dimensions of an embedding, K negatives, M training images, T temperature.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from torch import Tensor, nn

from mmamd.distillation.connectors import are_pairs, check_pairs
from mmamd.distillation.losses.logit import check_temperature
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

NUM_ESTIMATING = 1024  # embeddings of each bank from whose pairs Z is estimated


def crd_loss(positive_N: Tensor, negatives_NK: Tensor, num_images: int, temperature: float = 0.07,
             log_normalizer: Tensor | float = 0.) -> Tensor:
    """``-log h(positive) - sum_k log(1 - h(negative_k))``, mean over samples, of ``h(c) = e / (e + Z K / M)``.

    e is ``exp(c / T)`` of the cosine c of a student's and a teacher's embedding; h is the probability that the two are
    of one image.

    Args:
        positive_N: Cosines of the pairs of one image, shape (N,).
        negatives_NK: Cosines of each sample with K other images, shape (N, K).
        num_images: M.
        temperature: T > 0.
        log_normalizer: log Z.

    Returns:
        Scalar, in nats, at least float32 whatever the precision of the cosines.

    Raises:
        ValueError: The temperature is not positive, or the shapes do not agree.

    Source: Tian et al., "Contrastive Representation Distillation", ICLR 2020, section 3, where Z is 1. Their code
    divides e by Z, M times the mean of e over pairs of unrelated embeddings, as noise-contrastive estimation does.
    """
    check_temperature(temperature)
    if negatives_NK.ndim != 2 or positive_N.shape != negatives_NK.shape[:1] or not negatives_NK.shape[1]:
        raise ValueError('CRD needs cosines of shape (N,) and of shape (N, K) with K >= 1; got positives '
                         f'{tuple(positive_N.shape)}, negatives {tuple(negatives_NK.shape)}')
    threshold = math.log(negatives_NK.shape[1] / num_images) + log_normalizer
    positive_N = at_least_float32(positive_N) / temperature - threshold
    negatives_NK = at_least_float32(negatives_NK) / temperature - threshold
    return -(F.logsigmoid(positive_N) + F.logsigmoid(-negatives_NK).sum(dim=1)).mean()


def draw_images(num_images: int, num: int, seed: int, iteration: int) -> Tensor:
    """Places of so many different images, int64; a function of its arguments alone."""
    return torch.from_numpy(np.random.default_rng([seed, iteration]).choice(num_images, num, replace=False))


def without_own(values_NJ: Tensor, drawn_J: Tensor, places_N: Tensor) -> Tensor:
    """Of J = K + 1 values a sample, those of K other images: without that of its own image, or else the last one."""
    is_own_NJ = drawn_J == places_N.unsqueeze(1)
    last = len(drawn_J) - 1
    left_out_N = torch.where(is_own_NJ.any(dim=1), is_own_NJ.int().argmax(dim=1), last)
    columns = torch.arange(last, device=values_NJ.device)
    return values_NJ.gather(1, columns + (columns >= left_out_N.unsqueeze(1)))


def places_of(samples: list, num_images: int) -> Tensor:
    """Each sample's place in the training set, int64, shape (N,).

    Raises:
        ValueError: A sample has no ``sample_idx``, one that is no place, or that of another image of the batch. An
            image may be in a batch twice.
    """
    first: dict[int, int] = {}
    for i, sample in enumerate(samples):
        place = sample.get('sample_idx')
        if place is None:
            raise ValueError(f'CRD knows images by their sample_idx, and sample {i} of the batch has none; name it in '
                             'meta_keys of the transform that packs the samples')
        if not isinstance(place, (int, np.integer)) or not 0 <= place < num_images:
            raise ValueError(f'sample {i} of the batch has sample_idx={place!r}, expected a place in the training set, '
                             f'0 to {num_images - 1}; train on one data set that numbers its images')
        other = first.setdefault(place, i)
        if other != i and _image(sample) != _image(samples[other]):
            raise ValueError(f'samples {other} and {i} of the batch are two images of one sample_idx={place}, by which '
                             'CRD knows them; train on one data set that numbers its images, not on several in one')
    return torch.tensor([sample.get('sample_idx') for sample in samples])


def _image(sample) -> tuple:
    """What two samples of one image have in common."""
    label = sample.get('gt_label')
    return sample.get('img_path'), None if label is None else label.tolist()


@torch.no_grad()
def of_all_processes(rows: Tensor) -> Tensor:
    """Rows of all processes, one process after another; the last batch of an epoch may differ in length."""
    lengths = torch.cat(all_gather(torch.tensor([len(rows)], device=rows.device))).tolist()
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[:len(rows)] = rows
    return torch.cat([each[:length] for each, length in zip(all_gather(padded), lengths, strict=True)])


class Embedding(nn.Linear):
    """Linear map of the features of an image, mean over tokens or positions, to a direction."""

    def forward(self, features: Tensor) -> Tensor:
        """From (N, C), tokens (N, L, C) or maps (N, C, H, W) to (N, D) of length 1."""
        return F.normalize(super().forward(pooled(at_least_float32(features))), dim=1)


def pooled(features: Tensor) -> Tensor:
    """One vector an image, (N, C)."""
    if features.ndim == 4:
        return features.mean(dim=(2, 3))
    return features.mean(dim=1) if features.ndim == 3 else features


class Contrast(nn.Module):
    """A student and one teacher: an embedding of each, and a bank of those that each training image had last.

    The banks start as random directions, from which Z is estimated: on them the first batch of their code meets.
    """

    def __init__(self, student_channels: int, teacher_channels: int, dim: int, num_images: int,
                 temperature: float) -> None:
        super().__init__()
        self.student = Embedding(student_channels, dim)
        self.teacher = Embedding(teacher_channels, dim)
        self.register_buffer('student_bank', F.normalize(torch.randn(num_images, dim), dim=1))
        self.register_buffer('teacher_bank', F.normalize(torch.randn(num_images, dim), dim=1))
        exponents = self.student_bank[:NUM_ESTIMATING] @ self.teacher_bank[:NUM_ESTIMATING].T / temperature
        self.register_buffer('log_normalizer', exponents.flatten().logsumexp(dim=0) + math.log(
            num_images / exponents.numel()))

    @torch.no_grad()
    def remember(self, places_N: Tensor, student_ND: Tensor, teacher_ND: Tensor, momentum: float) -> None:
        """Move the images' directions in the banks towards new ones; of an image that comes twice the first counts.

        Where a new one is not finite the bank keeps what it has: a step that a loss scaler leaves out, as something has
        overflowed in it, is remembered before that is known.
        """
        first = torch.from_numpy(np.unique(places_N.cpu().numpy(), return_index=True)[1]).to(places_N.device)
        places = places_N[first]
        for bank, new_ND in ((self.student_bank, student_ND), (self.teacher_bank, teacher_ND)):
            moved = F.normalize(momentum * bank[places] + (1 - momentum) * new_ND[first], dim=1)
            bank[places] = torch.where(moved.isfinite().all(dim=1, keepdim=True), moved, bank[places])


@MODELS.register_module()
class CRDLoss(Loss):
    """:func:`crd_loss` both ways: the student's embedding among the teacher's of other images, and the reverse.

    The positive is what the bank has of the image, as in their code, so it is random in the first epoch. It has to be
    as old as the negatives: beside a positive of now, embeddings that all drift the same way leave every negative
    behind, and the term falls without telling images apart. Negatives are any other images, also of the same class, and
    the same ones for all samples of a step, drawn by (seed, iteration); the authors' code for CIFAR draws them for each
    sample from the other classes. Labels are not read, so soft labels change nothing; of images that are mixed each is
    known by the place of its first one.

    The banks are one student's, so it cannot train several candidates in one step. A bank has M x D numbers, for each
    teacher one of the student and one of the teacher, and they are in each checkpoint.

    Args:
        dim: D.
        negatives: K, less than the number of training images. The paper has 16,384; here fewer, which cost less.
        temperature: T > 0.
        momentum: Share of what a bank has that stays when the image comes again, in [0, 1).
        layer: Modules whose outputs are embedded, the student's and the teacher's, by name: by default the backbones,
            whose outputs are the features that the heads classify.
        normalize: Whether Z is estimated as in their code, on which the weight rests; else it is 1, as in the paper.
        weight: Factor of the term. The defaults of ``dim``, ``temperature``, ``momentum`` and 0.8 are those of Tian et
            al. 2020 for CIFAR-100.

    Raises:
        ValueError: A number is out of its range, ``layer`` is no pair, or there are too few training images.
    """

    joint = False
    needs_places = True

    def __init__(self, *, dim: int = 128, negatives: int = 4096, temperature: float = 0.07, momentum: float = 0.5,
                 layer: tuple[str, str] = ('backbone', 'backbone'), normalize: bool = True,
                 weight: float = 0.8) -> None:
        super().__init__(weight=weight)
        for name, value in (('dim', dim), ('negatives', negatives)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be a positive integer, got {value!r}')
        check_temperature(temperature)
        if isinstance(momentum, bool) or not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum!r}; 1 would leave the banks as they were '
                             'drawn')
        if isinstance(layer, str) or len(layer) != 2 or not are_pairs(layer):
            raise ValueError("layer must be a pair of names of modules, the student's and the teacher's, e.g. "
                             f"('backbone', 'backbone'); got {layer!r}")
        self.dim = dim
        self.negatives = negatives
        self.temperature = temperature
        self.momentum = momentum
        self.layer = layer
        self.normalize = normalize
        self.contrasts = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return check_pairs([self.layer], student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        if self.negatives >= num_images:
            raise ValueError(f'negatives must be less than the number of training images, {num_images}, got '
                             f'{self.negatives}; set negatives={max(1, num_images - 1)} or fewer')
        self.num_images = num_images
        for ((own, others),), teacher in zip(self.pairs, teachers, strict=True):
            channels = pooled(student.states[own]).shape[1], pooled(teacher.states[others]).shape[1]
            self.contrasts.append(Contrast(*channels, self.dim, num_images, self.temperature))
        self.register_buffer('seed', torch.randint(2**31, ()))
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        contrast = self.contrasts[index]
        places_N = places_of(student.samples, self.num_images).to(student.logits.device)
        drawn = draw_images(self.num_images, self.negatives + 1, int(self.seed), int(self.iteration))
        drawn = drawn.to(places_N.device)
        log_normalizer = contrast.log_normalizer if self.normalize else 0.
        # Cosines are divided by T, so that they are wanted to more digits than bfloat16 has.
        with torch.autocast(places_N.device.type, enabled=False):
            student_ND, teacher_ND = self._embedded(student, teacher, index)
            return sum(crd_loss((anchor_ND * bank[places_N]).sum(dim=1),
                                without_own(anchor_ND @ bank[drawn].T, drawn, places_N), self.num_images,
                                self.temperature, log_normalizer)
                       for anchor_ND, bank in ((student_ND, contrast.teacher_bank),
                                               (teacher_ND, contrast.student_bank)))

    def after_step(self, student: Outputs, teachers: list[Outputs]) -> None:
        places_N = of_all_processes(places_of(student.samples, self.num_images).to(student.logits.device))
        for i, (contrast, teacher) in enumerate(zip(self.contrasts, teachers, strict=True)):
            gathered = [of_all_processes(each) for each in self._embedded(student, teacher, i)]
            contrast.remember(places_N, *gathered, self.momentum)
        self.iteration += 1

    def _embedded(self, student: Outputs, teacher: Outputs, index: int) -> list[Tensor]:
        (own, others), = self.pairs[index]
        contrast = self.contrasts[index]
        return [contrast.student(student.states[own]), contrast.teacher(teacher.states[others])]
