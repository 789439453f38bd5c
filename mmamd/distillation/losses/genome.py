"""A distiller that a search has found, or that is written by hand: a term of the loss that is read from its genome.

Legend: N samples, C channels or classes, H x W positions.
"""

import logging
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.connectors import aligned, check_pairs, same_architecture
from mmamd.distillation.generation import MaskSeed
from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.distillation.layers import check_layer, layer_pair
from mmamd.distillation.losses.logit_correlation import MOST_CLASSES, correlation_maps
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.maps import as_maps, in_form
from mmamd.distillation.operations.operation import Rand
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.vectors import pooled
from mmamd.notices import notice
from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS, MODELS
from mmamd.structures import Maps


def genome_loss(genome: Genome, student: Tensor, teacher: Tensor, student_NC: Tensor, teacher_NC: Tensor,
                target: Tensor | None = None, rand: Rand | None = None) -> Tensor:
    """``tau^2 W mean_i(C_i D_i(T(f_S / tau), T(f_T / tau)))`` over the samples i.

    A distance that compares the batch as a whole is multiplied by the mean of C.

    Args:
        student, teacher: Knowledge f of one shape, (N, C, H, W), (N, C, M) or (N, C).
        student_NC, teacher_NC: Logits, which the calibration C reads.
        target: Class index of each sample, int64, for calibrations that read it.
        rand: ``rand(slot, *shape)``, uniform numbers of a transform's place, for transforms that draw; the same numbers
            for the same arguments, so that student and teacher are given one draw.

    Returns:
        Scalar, at least float32 whatever the precision of the knowledge.

    Raises:
        ValueError: The knowledge differs in shape.

    Source: Li et al., "KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs", NeurIPS 2023, Eq. 1.
    """
    both = []
    for x in (student, teacher):
        x = at_least_float32(x) / genome.tau
        for slot, name in enumerate(genome.transforms):
            x = KD_TRANSFORMS.module_dict[name](x, None if rand is None else partial(rand, slot))
        both.append(x)
    distance = KD_DISTANCES.module_dict[genome.distance](*both)
    logits = (at_least_float32(x) for x in (student_NC, teacher_NC))
    weights_N = KD_CALIBRATIONS.module_dict[genome.calibration](*logits, target)
    return genome.tau**2 * genome.weight * (weights_N * distance).mean()


@MODELS.register_module()
class GenomeLoss(Loss):
    """:func:`genome_loss` of a genome, as text.

    Features and embeddings of two architectures are aligned: the larger maps are averaged to the size of the smaller,
    and a trained 1 x 1 map leads from the student's channels to the teacher's. Tokens become maps, without class
    tokens. Random transforms hide the same of student and teacher, by seed, step and process.

    Args:
        genome: Text of a :class:`mmamd.distillation.genome.Genome`, such as ``'in:[logits] trans:[no|softmax_C|no]
            dist:[Pearson] cal:[no] weight:[1] tau:[4]'``, the default: DIST's relation between classes. The paper
            prints no genome that it has found.
        layer: Where ``in:[feature]`` is read: ``'last'`` for the last hidden state of networks of one architecture; or
            a pair of names of modules, the student's and the teacher's.
        embedding: Where ``in:[embedding]`` is read, a pair of names of modules; of maps and tokens the mean over
            positions. By default the outputs of the backbones.
        weight: Factor of the term, beside the genome's own.

    Raises:
        ValueError: An option is none of these.
    """

    def __init__(self, *, genome: str = EXAMPLE, layer: str | tuple[str, str] = 'last',
                 embedding: tuple[str, str] = ('backbone', 'backbone'), weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.genome = Genome.parse(genome)
        self.layer = check_layer(layer)
        self.embedding = check_layer(embedding, ())
        self.connectors = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        if self.genome.input == 'feature':
            return layer_pair(self.layer, student, teacher)
        return check_pairs([self.embedding], student, teacher) if self.genome.input == 'embedding' else []

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.masks = MaskSeed()
        canonical = self.genome.canonical(dense=student.logits.ndim > 2)
        _warn_of_what_has_no_effect(self.genome, canonical)
        self.genome = canonical
        if self._needs_target and student.logits.ndim > 2:
            raise ValueError(f'cal:[{canonical.calibration}] needs one label an image, and a dense prediction has '
                             'one a position; take cal:[no], cal:[entropy] or cal:[conf]')
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            is_read = self.genome.input == 'logits' or self.genome.calibration != 'no'
            if is_read and student.logits.shape != teacher.logits.shape:
                raise ValueError(f'the student has logits {tuple(student.logits.shape[1:])} and the teacher '
                                 f'{tuple(teacher.logits.shape[1:])}, which the genome compares; give both the same '
                                 'num_classes and input size, or use a genome of features with cal:[no]')
            for names in pairs:
                states = in_form(self._maps, names, student, teacher)
                is_same = same_architecture(student.network, teacher.network)
                self.connectors.append(aligned(names, *_of_one_size(*states), is_same))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        check_batch(self, self.genome, student)
        target = student.hard_targets() if self._needs_target else None
        return genome_loss(self.genome, *self.knowledge(student, teacher, index), student.logits, teacher.logits,
                           target, self.masks.for_transforms(student.progress, index))

    @property
    def _needs_target(self) -> bool:
        return KD_CALIBRATIONS.module_dict[self.genome.calibration].needs_target

    def pictures(self, student: Outputs, teacher: Outputs, index: int) -> list[Maps]:
        shapes = student.logits.shape, teacher.logits.shape
        if index or shapes[0] != shapes[1] or len(shapes[0]) > 2 or shapes[0][1] > MOST_CLASSES:
            return []
        return [correlation_maps(student.logits, teacher.logits)]

    def knowledge(self, student: Outputs, teacher: Outputs, index: int) -> tuple[Tensor, Tensor]:
        """What is compared, of one shape."""
        if self.genome.input == 'logits':
            return student.logits, teacher.logits
        (own, others), = self.pairs[index]
        states = _of_one_size(*in_form(self._maps, (own, others), student, teacher))
        met = self.connectors[index](*states)
        return met if self.genome.input == 'feature' else tuple(x.flatten(1) for x in met)

    def _maps(self, state: Tensor, images: Tensor) -> Tensor:
        """A state as maps, an embedding as those of one position."""
        return as_maps(state, images) if self.genome.input == 'feature' else pooled(state, images)[:, :, None, None]


def check_batch(term: Loss, genome: Genome, student: Outputs) -> None:
    """Raise ValueError where a term is to train by one image, and its genome compares the images of a batch."""
    if term.training and len(student.logits) == 1 and genome.needs_batch:
        raise ValueError(f'{", ".join(genome.needs_batch)} compare the images of a batch, got a batch of one; use a '
                         'larger train_dataloader.batch_size, and drop_last=True where one image is left')


def _of_one_size(*states: Tensor) -> list[Tensor]:
    """Maps of the same positions: the larger side is averaged to the smaller one."""
    size = tuple(map(min, *(state.shape[2:] for state in states)))
    return [state if state.shape[2:] == size else F.adaptive_avg_pool2d(state, size) for state in states]


def _warn_of_what_has_no_effect(genome: Genome, canonical: Genome) -> None:
    if [name for name in genome.transforms if name != 'no'] != [name for name in canonical.transforms if name != 'no']:
        notice(f'some transforms of {str(genome)!r} have no effect on its {genome.input}, which has no positions or '
               f'is so already; it is {str(canonical)!r}', logging.WARNING)
