"""The term of the loss that a process weighs: every pathway is a transform and a distance.

Shapes: N samples, C channels, H x W positions, P pathways.
"""

import logging
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.generation import MaskSeed
from mmamd.distillation.losses.distpro.normalisation import check_normalisation, normalised
from mmamd.distillation.losses.distpro.pathways import Pathway, check_rule, lay_pathways
from mmamd.distillation.losses.distpro.pictures import level_maps
from mmamd.distillation.losses.distpro.process import Process, cut_of
from mmamd.distillation.losses.distpro.transforms import KINDS, untouched
from mmamd.distillation.losses.feature import Layers, LayersLoss
from mmamd.distillation.losses.loss import at_least_float32, check_weight
from mmamd.distillation.losses.reviewkd import hcl_loss
from mmamd.distillation.maps import as_levels, in_form
from mmamd.distillation.outputs import Outputs
from mmamd.notices import notice
from mmamd.registry import MODELS
from mmamd.structures import Maps

MODES = ('process', 'use_last', 'equal', 'search')
TIMES = 200  # of a training at which it is counted what a threshold leaves
SHOWN = (0., 1 / 3, 2 / 3, 1.)  # shares of a training that are drawn


def mse_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference, at least float32."""
    return F.mse_loss(at_least_float32(student), at_least_float32(teacher))


DISTANCES = {'hcl': hcl_loss, 'mse': mse_loss}


@MODELS.register_module()
class ProcessLoss(LayersLoss):
    """Weighted sum over pathways of the distance of a transformed level of the student to a level of the teacher.

    The weights follow a process over the progress of the stage. A pathway whose weight lies below the threshold is not
    computed: neither its transform nor its distance is run, and the transform's gradient is 0. Tokens become maps,
    without class tokens; vectors are maps of one position.

    Args:
        file: The process to replay, a JSON file that a search has written.
        mode: ``'process'``, weights that follow it; ``'use_last'``, its last ones throughout; ``'equal'``, all 1;
            ``'search'``, those of the buffer ``alpha``, which nothing but :class:`mmamd.search.distpro.AlphaUpdate`
            changes. None for ``'process'`` with a file and ``'equal'`` without one.
        layers: The levels, as of :class:`mmamd.distillation.FeatureLoss`, from low to high: ``'auto'``, numbers of
            hidden states, or pairs of names of modules. The authors' are states before their last ReLU, and what the
            classifier reads.
        rule: Which pathways there are, see :func:`lay_pathways`; None for those of the file, without one
            ``'student_ge_teacher'``.
        level_map: For each of ``layers`` the level of the process that it stands for, from 0; None where there are
            as many.
        transform: ``'cnn'`` or ``'transformer'``, of the pathways that name none; ``'auto'`` for the second one where
            both states are tokens.
        distance: ``'hcl'``, see :func:`hcl_loss`, or ``'mse'``; ``'auto'`` for the first one with the transform of
            CNNs.
        normalisation, scale: What makes weights of alphas while a process is searched, see :func:`normalised`.
        init: What the alphas of a search are at first.
        interpolate: What is linear between the recorded points: ``'weights'`` or ``'alphas'``.
        threshold: Weight below which a pathway is left out; 0.5 keeps about half of a process by DistPro's Table 3.
        relative_to_max: Whether the threshold is a share of the largest weight of all.
        weight: Factor of the term.

    Raises:
        ValueError: An option is none of these, two contradict each other, or the file holds no process.
    """

    def __init__(self, *, file: str | None = None,
                 mode: Literal['process', 'use_last', 'equal', 'search'] | None = None,
                 layers: Layers = 'auto', rule: str | Sequence | None = None, level_map: Sequence[int] | None = None,
                 transform: Literal['auto', 'cnn', 'transformer'] = 'auto',
                 distance: Literal['auto', 'hcl', 'mse'] = 'auto', normalisation: str = 'biased_softmax',
                 scale: str | float = 'num_pathways', init: float = 1.0,
                 interpolate: Literal['weights', 'alphas'] = 'weights', threshold: float = 0.0,
                 relative_to_max: bool = False, weight: float = 1.0) -> None:
        super().__init__(layers=layers, weight=weight)
        if mode is None:
            mode = 'equal' if file is None else 'process'
        for name, value, known in (('mode', mode, MODES), ('transform', transform, ('auto', *KINDS)),
                                   ('distance', distance, ('auto', *DISTANCES)),
                                   ('interpolate', interpolate, ('weights', 'alphas'))):
            if value not in known:
                raise ValueError(f'{name} must be one of {", ".join(map(repr, known))}, got {value!r}')
        check_normalisation(normalisation, scale)
        check_weight('threshold', threshold, '0 keeps every pathway')
        check_weight('init', init, 'it is what the alphas of a search are at first')
        if not init and 'absolute' in normalisation:
            raise ValueError(f'init=0 has no slope with normalisation={normalisation!r}, under which alphas of 0 stay '
                             '0; give a positive init, or another normalisation')
        _check_mode(mode, file, threshold, level_map)
        if rule is not None:
            check_rule(rule)
        self.process = None if file is None else Process.read(file)
        self.files = () if file is None else (str(file),)
        if mode == 'process' and len(self.process.steps) < 2:
            raise ValueError(f"{file} has one point, and between points is interpolated; set mode='use_last'")
        self.mode, self.rule, self.level_map = mode, rule, level_map
        self.transform, self.distance = transform, distance
        self.normalisation, self.scale, self.init, self.interpolate = normalisation, scale, init, interpolate
        self.threshold, self.relative_to_max = threshold, relative_to_max
        self.transforms = nn.ModuleList()  # of each teacher, one a pathway

    # --- construction ---

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        num_levels = len(self.pairs[0])
        self._lay(num_levels)
        self.cut = self._cut()
        self.masks = MaskSeed()
        self.shapes, self.distances = [], []
        if self.mode == 'search':
            # A buffer: kept with the student, and in no optimizer of the weights.
            self.register_buffer('alpha', torch.full((len(self.pathways),), float(self.init)))
        for index, teacher in enumerate(teachers):
            own, others = self._levels(student, teacher, index)
            self.shapes.append([(a.shape[1:], b.shape[1:]) for a, b in zip(own, others, strict=True)])
            kinds = [self._kind(pathway, student, teacher, index) for pathway in self.pathways]
            self.transforms.append(nn.ModuleList(
                KINDS[kind](own[pathway.student].shape[1], others[pathway.teacher].shape[1])
                for kind, pathway in zip(kinds, self.pathways, strict=True)))
            fitting = [('hcl' if kind == 'cnn' else 'mse') for kind in kinds]
            self.distances.append([DISTANCES[each if self.distance == 'auto' else self.distance] for each in fitting])
        self.pathway_macs = self._pathway_macs()
        times = [self.weights((i + 0.5) / TIMES) for i in range(TIMES)] if self.cut else []
        kept = [sum(macs for weight, macs in zip(row, self.pathway_macs, strict=True) if weight >= self.cut)
                for row in times] or [sum(self.pathway_macs)]
        self.macs = round(3 * sum(kept) / len(kept))  # a backward pass is two forward passes

    def _pathway_macs(self) -> list[int]:
        """Of each pathway's transforms to all teachers, of one image, forwards."""
        found = [0] * len(self.pathways)
        for transforms, shapes in zip(self.transforms, self.shapes, strict=True):
            for k, (pathway, transform) in enumerate(zip(self.pathways, transforms, strict=True)):
                found[k] += transform.macs(shapes[pathway.student][0][1:], shapes[pathway.teacher][1][1:])
        return found

    def _lay(self, num_levels: int) -> None:
        """The pathways, and of a process where their weights stand."""
        if self.process is None:
            self.pathways = lay_pathways(self.rule or 'student_ge_teacher', num_levels)
            return
        found = self.process.columns(num_levels, self.level_map)
        self.pathways, self._columns = tuple(found), list(found.values())
        if self.rule is not None and set(lay_pathways(self.rule, num_levels)) != set(self.pathways):
            raise ValueError(f'rule={self.rule!r} has other pathways than the process, which has '
                             f'{", ".join(each.name for each in self.pathways)}; leave rule out')

    def _cut(self) -> float:
        """The least weight that is kept. Warns of a threshold that leaves nothing at some times, refuses it at all."""
        if not self.threshold:
            return 0.
        rows = [self._of_columns(row) for row in self.process.weights] if self.mode == 'process' else [self.weights(0.)]
        cut = cut_of(rows, self.threshold, self.relative_to_max)
        if max(map(max, rows)) < cut:
            raise ValueError(f'threshold={self.threshold} leaves no pathway at any time: the largest weight is '
                             f'{max(map(max, rows)):.3g}; lower it, or set relative_to_max=True')
        empty = sum(max(self.weights((i + 0.5) / TIMES)) < cut for i in range(TIMES))
        if empty:
            notice(f'threshold={self.threshold} leaves no pathway for {empty / TIMES:.0%} of the training; the term is '
                   '0 there', logging.WARNING)
        return cut

    def _kind(self, pathway: Pathway, student: Outputs, teacher: Outputs, index: int) -> str:
        kind = self.transform if pathway.transform == 'auto' else pathway.transform
        if kind != 'auto':
            return kind
        own, others = self.pairs[index][pathway.student][0], self.pairs[index][pathway.teacher][1]
        return 'transformer' if student.states[own].ndim == teacher.states[others].ndim == 3 else 'cnn'

    # --- the value ---

    def weights(self, progress: float) -> Sequence[float] | Tensor:
        """Of the P pathways at a share of the stage, before the threshold; of a search with the graph of the alphas."""
        if self.mode == 'search':
            return normalised(self.alpha, self.normalisation, self.scale)
        if self.mode == 'equal':
            return [1.] * len(self.pathways)
        row = self.process.weights[-1] if self.mode == 'use_last' else self.process.at(progress, self.interpolate)
        return self._of_columns(row)

    def _of_columns(self, row: Sequence[float]) -> list[float]:
        return [row[column] for column in self._columns]

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        own, others = self._levels(student, teacher, index)
        self._check(own, others, index)
        weights, total = self.weights(student.progress), 0.
        for k, (pathway, transform) in enumerate(zip(self.pathways, self.transforms[index], strict=True)):
            if self.cut and weights[k] < self.cut:
                total = total + untouched(transform)
                continue
            target = others[pathway.teacher]
            generator = self.masks.generator(student.progress, index * len(self.pathways) + k, target.device)
            met = transform(own[pathway.student], target.shape[2:], generator if self.training else None)
            total = total + weights[k] * self.distances[index][k](met, target)
        return total

    def pictures(self, student: Outputs, teacher: Outputs, index: int) -> list[Maps]:
        if index or self.mode not in ('process', 'use_last'):  # a process is the same for all teachers
            return []
        weights = {at: [weight if weight >= self.cut else 0. for weight in self.weights(at)] for at in SHOWN}
        return [level_maps(weights, self.pathways, len(self.pairs[0]))]

    def _levels(self, student: Outputs, teacher: Outputs, index: int) -> tuple[list[Tensor], list[Tensor]]:
        """The levels of both networks as maps (N, C, H, W)."""
        maps = [in_form(as_levels, names, student, teacher) for names in self.pairs[index]]
        return [own for own, _ in maps], [others for _, others in maps]

    def _check(self, own: list[Tensor], others: list[Tensor], index: int) -> None:
        """Of a batch: the sizes that the term was built for, and enough images for its batch norms."""
        for names, levels, shapes in zip(self.pairs[index], zip(own, others, strict=True), self.shapes[index],
                                         strict=True):
            for name, level, (width, *size), whose in zip(names, levels, shapes, ('student', 'teacher'), strict=True):
                if level.shape[1] > width or list(level.shape[2:]) != size:
                    raise ValueError(f'{name!r} of the {whose} gives {tuple(level.shape[1:])}, and gave '
                                     f'{(width, *size)} when the term was built; images must keep one size')
        if self.training and len(own[0]) == 1 and any(each.has_batch_norm for each in self.transforms[index]):
            raise ValueError('the transforms have batch norms, which cannot be trained on a batch of one image; take '
                             "larger batches, drop the last one, or set transform='transformer'")


def _check_mode(mode: str, file: str | None, threshold: float, level_map: Sequence[int] | None) -> None:
    if mode in ('process', 'use_last') and file is None:
        raise ValueError(f'mode={mode!r} needs a process; name its file by file=')
    if mode == 'search' and (file is not None or threshold):
        raise ValueError(f"mode='search' finds a process, with all of its pathways: leave file and threshold out, got "
                         f'file={file!r} and threshold={threshold}')
    if level_map is not None and file is None:
        raise ValueError(f'level_map={level_map!r} is of the levels of a process; name its file by file=')
