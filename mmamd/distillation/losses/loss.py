"""The contract of a term of the loss, and how the section ``losses`` of a config becomes terms."""

import inspect
import math
import re
from collections.abc import Iterable

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.checks import check_arguments
from mmamd.distillation.outputs import Outputs
from mmamd.nearest import did_you_mean
from mmamd.pruning.complexity import profiled_macs
from mmamd.registry import MODELS
from mmamd.structures import Maps

# What the section was before terms had names -> what says it now.
EARLIER = {
    'temperature': "losses.logit.temperature", 'feat_layers': "losses.feat.layers",
    'feat_normalize': "losses.feat.normalize", 'zeta': 'losses.dkd.zeta', 'eta': 'losses.dkd.eta',
    'dkd_temperature': 'losses.dkd.temperature', 'ce': "losses.ce=dict(type='mmamd.TaskLoss', weight={})",
    'logit': "losses.logit=dict(type='mmamd.LogitLoss', weight={})",
    'feat': "losses.feat=dict(type='mmamd.FeatureLoss', weight={})",
    'dkd': "losses.dkd=dict(type='mmamd.DKDLoss', weight={})"}


class Loss(nn.Module):
    """One term of the loss: one file, one test, and nothing else knows of it.

    A term may own parameters and buffers. They are trained, checkpointed and resumed with the student, and are in no
    exported file. Of each parameter every candidate uses the same part or a leading part of it: one that only some
    candidates used would leave the gradients of several processes un-reduced, and is refused when it is built.

    Args:
        weight: Factor of the term in the sum, at least 0. A term of weight 0 is checked, and then left out: it builds
            and computes nothing.

    Attributes:
        joint: Whether several candidates may be trained by it in one step.
        needs_teacher: False for a term that knows the student alone; it is computed once, whatever number of teachers
            there is.
        needs_several: Whether it is for several teachers at once; a run none of whose trainings has several is refused.
        needs_task: Whether it reads the host's own losses, ``Outputs.task``.
        pretrains: Whether it prepares a distillation, and so may stand in the section ``pretrain`` alone.
        prepared: Whether a term of its name must have prepared it there.
        needs_places: Whether it knows images by ``sample_idx``, their places in the training set; it is then checked,
            before anything runs, that each has one of its own.
        teacher_passes, student_passes: Passes over the batch that it makes itself, of each teacher and of the student,
            whose backward pass goes with it. They are counted in what a training costs.
        files: Files that it reads, whose content a run is known by as by its config.
        macs: MACs that its own modules spend, for an image and a candidate and with their backward pass; counted
            behind :meth:`build` where that does not set them.
        pairs: For each teacher, what :meth:`watches` answered; set before :meth:`build`.
    """

    joint = True
    needs_teacher = True
    needs_several = False
    needs_task = False
    pretrains = False
    prepared = False
    needs_places = False
    teacher_passes = 0
    student_passes = 0
    files: tuple[str, ...] = ()
    macs: int | None = None

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        check_weight('weight', weight, '0 leaves the term out')
        self.weight = weight
        self.pairs: list[list[tuple[str, str]]] = []

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        """Pairs of modules, the student's name and the teacher's, whose outputs :meth:`compare` reads."""
        return []

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        """Make connectors, heads and banks, one set a teacher, from one pass of each network.

        Called once, in eval mode, without gradients, before optimizer and checkpoint; random numbers are the term's
        own. The student runs as its largest candidate.

        Args:
            num_images: Number of training images.
        """

    def ahead(self, teacher: Outputs) -> None:
        """Once a step and teacher, right after its forward pass and without gradients; ``teacher.made`` is kept."""

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor | dict[str, Tensor]:
        """The term without its weight.

        Args:
            student: Of the candidate that is active.
            teacher: Of the teacher of this index; None where ``needs_teacher`` is False.

        Returns:
            A scalar, or a dict: what contains ``'loss'`` in its key is minimised, the rest is logged.
        """
        raise NotImplementedError

    def after_step(self, student: Outputs, teachers: list[Outputs]) -> None:
        """Once a step, after its last backward pass and without gradients, with the outputs of its last candidate.

        What is remembered over steps is updated here, with the batch gathered over processes, so that they agree.
        """

    def pictures(self, student: Outputs, teacher: Outputs, index: int) -> list[Maps]:
        """What it shows of some test images when it is trained, for the report; in eval mode, without gradients."""
        return []

    def take_over(self, state: dict[str, Tensor]) -> None:
        """Go on from what a term of its name has learnt before. Raises ValueError where that does not fit."""
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f'cannot take over what this term has learnt before: {error}') from error


def check_weight(name: str, weight: float, meaning: str) -> None:
    """Raise ValueError unless a weight is a finite number of at least 0; ``meaning`` ends the message."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
        raise ValueError(f'{name} must be a finite number >= 0, got {weight!r}; {meaning}')


def build_terms(losses: dict) -> dict[str, Loss]:
    """The terms of a section ``losses``, those of weight 0 left out.

    Args:
        losses: Name -> ``dict(type=..., weight=..., ...)``.

    Raises:
        ValueError: For a name that cannot be one, an unknown type or option (with the nearest), an option that the
            term refuses, no term of positive weight, and for the spelling of earlier versions.
    """
    terms = {name: _build(name, settings) for name, settings in losses.items()}
    kept = {name: term for name, term in terms.items() if term.weight}
    if not kept:
        raise ValueError(f'all loss weights are 0, got losses of {list(losses) or "no name"}; nothing would be '
                         'trained. Make at least one positive')
    return kept


def _build(name: str, settings: dict) -> Loss:
    if not isinstance(settings, dict):
        now = EARLIER.get(name, f"losses.{name}=dict(type='mmamd....', weight=...)").format(settings)
        raise ValueError(f'losses.{name}={settings!r} is no term: the losses are named terms now, each a dict with a '
                         f'type and a weight; write {now}')
    # MMEngine adds up every logged value whose key contains 'loss', so a name that did would be added twice.
    if not re.fullmatch(r'[A-Za-z]\w*', name) or 'loss' in name:
        raise ValueError(f"losses.{name}: a term's name must be a word that starts with a letter and does not contain "
                         f"'loss', got {name!r}")
    settings = dict(settings)
    cls = loss_class(settings.pop('type', None), f'losses.{name}')
    known = inspect.signature(cls.__init__).parameters.keys() - {'self'}
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise ValueError(f'losses.{name}: {cls.__name__} has no option {unknown[0]!r}; expected some of {sorted(known)}'
                         f'{did_you_mean(unknown[0], known)} If it is left over from another type, add '
                         f'losses.{name}._delete_=True')
    check_arguments(f'losses.{name}', cls, settings)
    try:
        return cls(**settings)
    except (ValueError, TypeError) as error:
        raise ValueError(f'losses.{name}: {error}') from error


def loss_class(kind: str | None, where: str) -> type[Loss]:
    """The class of a term by the name in a config. Raises ValueError with the nearest names."""
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if isinstance(found, type) and issubclass(found, Loss):
        return found
    terms = [f'mmamd.{name}' for name, cls in MODELS.module_dict.items()
             if isinstance(cls, type) and issubclass(cls, Loss)]
    raise ValueError(f'{where}: there is no term of type {kind!r}; expected one of {terms}'
                     f'{did_you_mean(str(kind), terms)}')


def count_macs(term: Loss, student: Outputs, teachers: list[Outputs]) -> int:
    """MACs of the modules of a term that is built, with their backward pass, as torch's profiler sees them.

    They are those of :meth:`Loss.compare`; a term without parameters has none.

    Args:
        student, teachers: Outputs of one image.
    """
    if next(term.parameters(), None) is None:
        return 0
    own = student.detached()
    for each in (own.logits, *own.states.values()):
        each.requires_grad_()  # as in a step, whose gradient goes on into the student

    def both_passes() -> None:
        for index, teacher in enumerate(teachers if term.needs_teacher else [None]):
            found = named_values('counted', term.compare(own, teacher, index), 1.)
            sum(value.sum() for key, value in found.items() if 'loss' in key).backward()

    for teacher in teachers if term.needs_teacher else ():
        term.ahead(teacher)
    modes = [(module, module.training) for module in term.modules()]
    term.eval()  # batch norms of a training network refuse a single image, and would remember it
    with torch.enable_grad():
        macs = profiled_macs(both_passes)
    term.zero_grad()
    for module, flag in modes:
        module.training = flag
    return macs


def costs_of(terms: Iterable[Loss], is_trained: bool) -> tuple[int, int, int]:
    """What a step with some terms takes for an image.

    Args:
        is_trained: Whether a gradient reaches the student's network.

    Returns:
        Passes of each teacher beyond the first; forward passes of the student, of which a backward pass is two where
        there is one; MACs of the terms for a candidate.
    """
    terms = list(terms)
    passes = (3 if is_trained else 1) * (1 + sum(term.student_passes for term in terms))
    return sum(term.teacher_passes for term in terms), passes, sum(term.macs for term in terms)


# --- what a term's values are called ---

def mean(found: list[Tensor | dict[str, Tensor]]) -> Tensor | dict[str, Tensor]:
    """Mean over teachers, which leaves a weight its meaning whatever their number."""
    if len(found) == 1:
        return found[0]
    if isinstance(found[0], dict):
        return {key: mean([each[key] for each in found]) for key in found[0]}
    return sum(found) / len(found)


def named_values(name: str, found: Tensor | dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """A term's values under the names in which they are logged, those that are minimised with its weight."""
    if isinstance(found, Tensor):
        return {f'loss_{name}': weight * found}
    named = {}
    for key, value in found.items():
        if 'loss' not in key:
            named[key] = value
            continue
        full = f'loss_{name}' if key == 'loss' else f'loss_{name}.{key}'
        named[full] = [weight * each for each in value] if isinstance(value, (list, tuple)) else weight * value
    return named


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision as float32, so that sums and squares neither overflow nor round away under autocast."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
