"""The term of the loss that ScaleKD's parts make, and its two sets of weights."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.distillation.connectors import check_pairs, names_of
from mmamd.distillation.losses.logit import check_temperature, labelled, mean_of_counted
from mmamd.distillation.losses.loss import Loss, check_weight
from mmamd.distillation.losses.scalekd.feature_mimicking import alternative_distance, views
from mmamd.distillation.losses.scalekd.parameter_perception import Paths
from mmamd.distillation.losses.scalekd.pictures import attention, spectra, stages
from mmamd.distillation.losses.scalekd.projectors import (
    KERNELS,
    Form,
    cross_attention_projector,
    positionwise_projector,
)
from mmamd.distillation.losses.wsld import soft_cross_entropy
from mmamd.distillation.maps import as_maps, in_form
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS
from mmamd.structures import Maps


class Preset(NamedTuple):
    """Weights that belong together."""

    alpha: float
    beta: float
    kd_weight: float
    over_positions: str


PROJECTORS = ('cap', *KERNELS)
PRESETS = {
    # The authors' code: 0.08 and 0.06 for the two views, beside half of the task's own loss.
    'released': Preset(alpha=0.14, beta=0.08 / 0.14, kd_weight=0.5, over_positions='sum'),
    # ScaleKD, Eqs. 3 and 5 and appendix D; its text does not say how positions are summed up.
    'paper': Preset(alpha=1.0, beta=0.6, kd_weight=1.0, over_positions='mean')}


@MODELS.register_module()
class ScaleKDLoss(Loss):
    """The student's last stage, and its earlier stages continued by the teacher's last one, mimic the teacher's state.

    Both are projected by cross attention; each is compared as it is and without its direct component, by projectors of
    their own; logits are distilled beside. Sizes and widths are those that one pass of each network shows. Tokens
    become maps, without class tokens; where one enters the teacher's last stage, a query asks for it. Everything that
    is trained here stays behind when the student is exported.

    Args:
        student_layers: Names of the modules whose outputs are the student's last two stages; None for a student over
            an elastic backbone, which knows them.
        projector: ``'cap'``, the cross attention projector; ``'linear'`` or ``'conv'``, which need maps that
            are no smaller than the teacher's and serve without ``tpp``.
        both_stages: Whether the student's last stage but one is compared too, with what enters the teacher's last
            stage and with the same weights; needs ``tpp=False``, which has another use for it.
        dfm: Whether there is a second view, without the direct component (dual-view feature mimicking).
        dual_path: Whether there is a second view of everything in its place; needs ``dfm=False``.
        first_view: What the first view sees: ``'all'``, or ``'dir'``, the direct component alone.
        tpp: Whether there is a proxy path through the teacher's last stage (teacher parameter perception).
        adaptive_queries: Whether the student's path then asks with what comes out of the proxy path.
        detach_queries: Whether these queries then carry no gradient.
        kd: Whether logits are distilled: ``kd_weight`` T^2 times the cross-entropy of the softened probabilities, which
            has the gradient of :class:`mmamd.distillation.LogitLoss`.
        preset: ``'released'``, the weights of the authors' code, which belong beside a task loss of weight 0.5; or
            ``'paper'``, beside one of weight 1.
        alpha, beta: Views weigh ``alpha beta`` and ``alpha (1 - beta)``, a single one alpha; one of weight 0 is not
            built. None for the preset's.
        kd_weight: None for the preset's.
        temperature: T.
        heads: Heads of the projectors of the proxy path and of the student's; None for heads of 64 channels or more.
        softmax_scale: Factors of their attention's logits.
        windows: Parts of each side of their maps between which there is no attention; 1 for none.
        weight: Factor of the term.

    Raises:
        ValueError: An option is none of these, or two contradict each other.
    """

    def __init__(self, *, student_layers: Sequence[str] | None = None,
                 projector: Literal['cap', 'linear', 'conv'] = 'cap', both_stages: bool = False, dfm: bool = True,
                 dual_path: bool = False, first_view: Literal['all', 'dir'] = 'all', tpp: bool = True,
                 adaptive_queries: bool = True, detach_queries: bool = False, kd: bool = True,
                 preset: Literal['released', 'paper'] = 'released', alpha: float | None = None,
                 beta: float | None = None, kd_weight: float | None = None, temperature: float = 1.0,
                 heads: Sequence[int] | None = None, softmax_scale: Sequence[float] = (5.0, 5.0),
                 windows: Sequence[int] = (1, 1), weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        _check_choices(projector=(projector, PROJECTORS), first_view=(first_view, ('all', 'dir')),
                       preset=(preset, tuple(PRESETS)))
        _check_parts(projector, both_stages, dfm, dual_path, tpp)
        defaults = PRESETS[preset]
        alpha, beta, kd_weight = (default if own is None else own for own, default in zip(
            (alpha, beta, kd_weight), defaults[:3], strict=True))
        _check_weights(alpha, beta, kd_weight)
        check_temperature(temperature)
        self.student_layers = None if student_layers is None else _two_names(student_layers)
        self.projector, self.tpp, self.both_stages = projector, tpp, both_stages
        self.adaptive_queries, self.detach_queries = adaptive_queries, detach_queries
        self.kd_weight, self.temperature = kd * kd_weight, temperature
        self.heads = (None, None) if heads is None else _pair('heads', heads, least=1, kind=int)
        self.softmax_scale = _pair('softmax_scale', softmax_scale, above=0)
        self.windows = _pair('windows', windows, least=1, kind=int)
        self.over_positions = defaults.over_positions
        self.views = views(alpha, beta, dfm=dfm, dual_path=dual_path, first_view=first_view)
        self.paths = nn.ModuleList()  # of each teacher, by the names of the views

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        tail = _elastic(teacher).tail()
        own = _last_stages(student) if self.student_layers is None else self.student_layers
        pairs = list(zip(own, names_of(teacher, [tail.before, tail.behind]), strict=True))
        return check_pairs(pairs if self.tpp or self.both_stages else pairs[1:], student, teacher)

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            if self.kd_weight and student.logits.shape[1:] != teacher.logits.shape[1:]:
                raise ValueError(f'the student has logits {tuple(student.logits.shape[1:])} and the teacher '
                                 f'{tuple(teacher.logits.shape[1:])}, which cannot be distilled; give both the same '
                                 'num_classes, or set kd=False')
            self.paths.append(nn.ModuleDict({name: self._paths(pairs, student, teacher) for name in self.views}))

    def _paths(self, pairs: list[tuple[str, str]], student: Outputs, teacher: Outputs) -> Paths:
        """What a view learns, its parts in the order of the pairs: an earlier stage's path is before the last one's."""
        maps = [in_form(as_maps, names, student, teacher) for names in pairs]
        # A class token is asked for where the teacher's last stage reads it; it is compared with nothing.
        forms = [Form.of(teacher.states[names[1]] if self.tpp and names != pairs[-1] else state, teacher.inputs)
                 for names, (_, state) in zip(pairs, maps, strict=True)]
        if 'alternative' in self.views and forms[-1].size == (1, 1):
            raise ValueError(f'the maps of {pairs[-1][1]!r} of the teacher have one position, so nothing is left of '
                             'them without their direct component; set dfm=False')
        *early, last = self._projectors(pairs, maps, forms)
        if not early:
            return Paths(last, forms[-1])
        return Paths(last, forms[-1], **{'proxy' if self.tpp else 'early': early[0]}, early_form=forms[0],
                     adaptive=self.tpp and self.adaptive_queries, detach=self.detach_queries)

    def _projectors(self, pairs: list[tuple[str, str]], maps: list[tuple[Tensor, Tensor]],
                    forms: list[Form]) -> list[nn.Module]:
        """From each of the student's maps to a state of the teacher's form."""
        if self.projector != 'cap':
            return [positionwise_projector(names, *states, self.projector)
                    for names, states in zip(pairs, maps, strict=True)]
        given = self.tpp and self.adaptive_queries  # queries of the last one
        options = list(zip(self.heads, self.softmax_scale, self.windows, (True, not given), strict=True))
        return [cross_attention_projector(own, form, *option) for (own, _), form, option in zip(
            maps, forms, options[-len(pairs):], strict=True)]

    @torch.enable_grad()
    def _projected(self, own: list[Tensor], teacher: Outputs, index: int) -> dict[str, dict[str, Tensor]]:
        """View -> path -> maps of the teacher's size, from those of the student's stages that are read."""
        *early, last = own
        tail = _elastic(teacher.network).tail()
        return {name: paths(early[0] if early else None, last, tail.run) for name, paths in self.paths[index].items()}

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> dict[str, Tensor]:
        pairs = self.pairs[index]
        own, target = [student.maps(name) for name, _ in pairs], teacher.maps(pairs[-1][1])
        projected = self._projected(own, teacher, index)
        targets = {'early': teacher.maps(pairs[0][1])} if self.both_stages else {}
        found = {f'loss_{path}_{name}': self.views[name].compare(maps, targets.get(path, target), self.over_positions)
                 for name, paths in projected.items() for path, maps in paths.items()}
        *_, last_view = projected.values()  # the one that sees no direct component, where there is one
        found['alternative_distance'] = alternative_distance(last_view['student'], target)
        if self.kd_weight:
            entropies = soft_cross_entropy(student.logits, teacher.logits, self.temperature)
            entropy = mean_of_counted(entropies, labelled(student))
            found['loss_kd'] = self.kd_weight * self.temperature**2 * entropy
        return found

    def pictures(self, student: Outputs, teacher: Outputs, index: int) -> list[Maps]:
        pairs = self.pairs[index]
        own = {f'student: {name}': student.maps(name) for name, _ in pairs}
        states = stages(teacher, _elastic(teacher.network)) | {name: teacher.maps(name) for _, name in pairs[-1:]}
        found = [spectra({f'teacher: {name}': maps for name, maps in states.items()} | own)]
        first, *_ = self.paths[index].values()
        if self.projector == 'cap' and self.windows[1] == 1:
            given = []
            handle = first.student.attention.register_forward_pre_hook(lambda _, args: given.append(args))
            self._projected(list(own.values()), teacher, index)
            handle.remove()
            found.append(attention(first.student.attention.weights(*given[0]), first.form.size,
                                   tuple(first.student.positions.shape[1:])))
        return found


# --- the networks ---

def _elastic(teacher: nn.Module) -> ElasticBackbone:
    """The backbone of a teacher, which can run its last stage alone."""
    backbone = getattr(teacher, 'backbone', teacher)
    if isinstance(backbone, ElasticBackbone):
        return backbone
    raise ValueError(f"the teacher's {type(backbone).__name__} cannot run its last stage by itself; use an elastic "
                     'backbone, such as mmamd.MaskedViT, MaskedSwin or MaskedResNet, which takes the same weights')


def _last_stages(student: nn.Module) -> list[str]:
    backbone = getattr(student, 'backbone', student)
    if isinstance(backbone, ElasticBackbone):
        return names_of(student, backbone.last_stages())
    raise ValueError(f"a student over a {type(backbone).__name__} needs student_layers=('<its last stage but one>', "
                     "'<its last stage>'), e.g. ('backbone.layer3', 'backbone.layer4')")


# --- options ---

def _check_choices(**options: tuple[str, tuple[str, ...]]) -> None:
    for name, (value, known) in options.items():
        if value not in known:
            raise ValueError(f'{name} must be one of {", ".join(map(repr, known))}, got {value!r}')


def _check_parts(projector: str, both_stages: bool, dfm: bool, dual_path: bool, tpp: bool) -> None:
    if dfm and dual_path:
        raise ValueError('dual_path=True has a second view in place of that of dfm, got both; set dfm=False')
    if tpp and both_stages:
        raise ValueError('both_stages=True compares the last stage but one, which tpp continues by the teacher '
                         'instead; set tpp=False')
    if tpp and projector != 'cap':
        raise ValueError(f'tpp needs the cross attention projector, got projector={projector!r}; set tpp=False, or '
                         "projector='cap'")


def _check_weights(alpha: float, beta: float, kd_weight: float) -> None:
    check_weight('alpha', alpha, 'it weighs the views')
    if not alpha:
        raise ValueError('alpha must be positive, got 0, which leaves nothing but the logits; use mmamd.LogitLoss')
    check_weight('beta', beta, "the first view's share")
    if beta > 1:
        raise ValueError(f"beta must lie in [0, 1], got {beta!r}; it is the first view's share")
    check_weight('kd_weight', kd_weight, '0 leaves the logits out')


def _two_names(layers: Sequence[str]) -> tuple[str, str]:
    is_pair = isinstance(layers, (list, tuple)) and len(layers) == 2 and all(isinstance(name, str) for name in layers)
    if not is_pair or layers[0] == layers[1]:
        raise ValueError("student_layers must be the names of two modules, the student's last stage but one and its "
                         f'last; got {layers!r}')
    return tuple(layers)


def _pair(name: str, values: Sequence[float], kind: type | tuple = (int, float), least: float = -math.inf,
          above: float = -math.inf) -> tuple[float, float]:
    is_pair = isinstance(values, (list, tuple)) and len(values) == 2 and not any(
        isinstance(value, bool) for value in values) and all(
        isinstance(value, kind) and least <= value < math.inf and value > above for value in values)
    if not is_pair:
        bound = f'> {above}' if above > -math.inf else f'>= {least}'
        raise ValueError(f"{name} must be two numbers {bound}, of the proxy path and of the student's; got {values!r}")
    return tuple(values)
