"""The algorithm: frozen teachers, and one network that runs as any candidate and is trained by terms of a loss."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModel, is_model_wrapper
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.distillation.losses.loss import Loss, build_terms, costs_of, count_macs, mean, named_values
from mmamd.distillation.outputs import Outputs
from mmamd.distillation.reached import freeze_what_nothing_reaches, key_of
from mmamd.distillation.renormalisation import renormalisations
from mmamd.distillation.shrinking import shrink, shrinks
from mmamd.distillation.teacher_cache import TeacherCache
from mmamd.files.checkpoint import read_checkpoint
from mmamd.passes import frozen_eval, one_tensor, watch
from mmamd.registry import MODELS
from mmamd.seeds import derive_seed
from mmamd.structures import Candidate, Maps, Network
from mmamd.tasks import task_of
from mmamd.weights.networks import as_network, build_network, with_preprocessor

AMD_LOSSES = {'ce': dict(type='mmamd.TaskLoss'), 'logit': dict(type='mmamd.LogitLoss'),
              'feat': dict(type='mmamd.FeatureLoss')}


@MODELS.register_module()
class AMDDistiller(BaseModel):
    """Distil teachers into candidates that share their weights: the loss is a sum of named terms.

    In a joint step these run, in order: :meth:`JointTrainLoop.step`, :meth:`teach`, for each candidate
    :meth:`activate` and :meth:`loss`, which is one walk over the terms (:class:`mmamd.distillation.losses.Loss`), and
    last :meth:`after_step`.

    A teacher that is a candidate of the shared network, a teacher assistant, runs as one. Teachers are no sub-modules:
    they stay in eval mode, have no gradients and are in no checkpoint, no optimizer and no DistributedDataParallel
    bucket. Parameters that no term reaches (a head without a task loss, an auxiliary head) are frozen. A network that
    trains as one candidate has no units but its own (:mod:`mmamd.distillation.shrinking`).

    Args:
        architecture: Config of the network that is trained: the host's classifier or segmentor.
        teacher: The teacher, or several: weights of ``architecture`` from any source of :mod:`mmamd.weights.sources`,
            or a dict of the fields of :class:`mmamd.structures.Network`. None leaves it untrained, which only a
            pipeline that trains its teacher first may do.
        losses: Name -> term, ``dict(type=..., weight=..., ...)``; by default AMD's three with weight 1.
        start: Weights that the network starts from: ``'teacher'`` for those of the first teacher, None for a draw as
            its config says, or a source.
        candidates: What is trained: fields of :class:`mmamd.structures.Candidate`, ascending by scale; by default the
            whole network.
        logits_from: Name of the network's module whose output is the logits; None for that of its task.
        data_preprocessor: Preprocessor of the batches, with mixup and cutmix where configured.
        num_images: Number of training images, which some terms ask for.
        seed: From which each term draws its parameters.
        trains: ``'student'``, or ``'losses'``: the parameters of the terms alone, the network being frozen.
        terms_from: File of the state of terms, by name, that those of the same names start from.
    """

    def __init__(self, *, architecture: dict, teacher: str | dict | Sequence | None, losses: dict | None = None,
                 start: str | None = 'teacher', candidates: Sequence[dict] | None = None,
                 logits_from: str | None = None, data_preprocessor: dict | None = None, num_images: int = 0,
                 seed: int = 0, trains: str = 'student', terms_from: str | None = None) -> None:
        architecture = with_preprocessor(architecture, data_preprocessor)
        several = teacher if isinstance(teacher, (list, tuple)) else [teacher]
        described = [as_network(each, architecture) for each in several]
        network = build_network(Network(architecture, described[0].weights if start == 'teacher' else start)).train()
        super().__init__(data_preprocessor=network.data_preprocessor)
        self.network = network
        self.is_drawn, self.teacher_networks = start is None, described
        # Past nn.Module.__setattr__ on purpose: a teacher must not be a sub-module.
        self.__dict__['teachers'] = [build_network(each).requires_grad_(False) for each in described]
        self.candidates = [None] if candidates is None else [
            each if isinstance(each, Candidate) else Candidate.from_dict(each) for each in candidates]
        self.progress = 0.  # share of the stage that is done
        self.caches: list[TeacherCache | None] = [None] * len(described)  # of answers; None asks it every time
        self.renormalisations = renormalisations(network, self.teachers)
        self._logits_from = logits_from or task_of(network).logits_from(network)
        self._latest: tuple[Outputs, list[Outputs]] | None = None
        network.requires_grad_(trains == 'student')
        self._set_up(AMD_LOSSES if losses is None else losses, num_images, seed)
        if terms_from is not None:
            self._take_over(terms_from)
        self.activate(None)

    @property
    def teacher(self) -> nn.Module:
        """The first teacher."""
        return self.teachers[0]

    @property
    def is_taught(self) -> bool:
        """Whether any term asks the teachers."""
        return any(term.needs_teacher for term in self.terms.values())

    @property
    def is_trained(self) -> bool:
        """Whether a gradient of any term reaches the student's network."""
        return any(p.requires_grad for p in self.network.parameters())

    # --- construction ---

    def _set_up(self, losses: dict, num_images: int, seed: int) -> None:
        self.terms: nn.ModuleDict = nn.ModuleDict(build_terms(losses))
        self._check_several()
        for name, term in self.terms.items():
            if term.needs_teacher:
                term.pairs = [self._named(name, term.watches, self.network, teacher) for teacher in self.teachers]
        pairs = [[term.pairs[i] for term in self.terms.values() if term.pairs] for i in range(len(self.teachers))]
        self._own_names = list(dict.fromkeys(own for each in pairs for term in each for own, _ in term))
        self._teacher_names = [list(dict.fromkeys(name for term in each for _, name in term)) for each in pairs]
        with self.dry() as (inputs, samples):
            with torch.no_grad(), frozen_eval(self.network):
                self.activate(self.candidates[-1])
                student, teachers = self.run(inputs, samples), self._teach(inputs, samples)
            for name, term in self.terms.items():
                # What a term draws depends on nothing but its name, so that one term changes no other's start.
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    torch.manual_seed(derive_seed(seed, 'term', name))
                    self._named(name, term.build, student, teachers, num_images)
                    if term.macs is None:
                        term.macs = self._named(name, count_macs, term, student, teachers)
        if shrinks(self.candidates):  # once the terms have known it as the teacher's architecture
            shrink(self.network, self.candidates[0].kept)
        with self.dry() as (inputs, samples):  # anew, so that what the terms have built is in eval mode too
            freeze_what_nothing_reaches(self, inputs, samples)
        self._latest = None

    def _check_several(self) -> None:
        alone = [name for name, term in self.terms.items() if not term.joint]
        if alone and len(self.candidates) > 1:
            raise ValueError(f'losses.{alone[0]}: a {type(self.terms[alone[0]]).__name__} cannot train several '
                             f'candidates in one step, got {len(self.candidates)}; give it weight 0 in the joint '
                             f'stage: joint.losses.{alone[0]}.weight=0')

    @staticmethod
    def _named(name: str, function, *args) -> Any:
        """What a term's function returns; what it refuses is said to be of the term."""
        try:
            return function(*args)
        except ValueError as error:
            raise ValueError(f'losses.{name}: {error}') from error

    @contextmanager
    def dry(self) -> Iterator[tuple[Tensor, list]]:
        """One image and its annotation, to run the networks on, and eval mode meanwhile."""
        elastic = [network.backbone for network in (self.network, *self.teachers)
                   if isinstance(getattr(network, 'backbone', None), ElasticBackbone)]
        if not elastic:
            raise ValueError('neither the network nor a teacher is over an elastic backbone, so the size of the images '
                             'is not known; give one of them a backbone of mmamd')
        sample = task_of(self.network).example(self.network)
        sample.set_metainfo(dict(sample_idx=0))
        modes = [(module, module.training) for module in self.modules()]
        self.eval()  # batch norms of a training network refuse a single image, and would remember it
        try:
            yield next(self.network.parameters()).new_zeros(1, *elastic[0].input_shape), [sample]
        finally:
            for module, flag in modes:
                module.training = flag

    def _take_over(self, path: str) -> None:
        """Give the terms what terms of the same names have learnt in an earlier stage."""
        for name, state in read_checkpoint(path).items():
            if name in self.terms and state:
                self._named(name, self.terms[name].take_over, state)

    # --- what a joint step calls ---

    def macs(self, candidates: Sequence[Candidate]) -> int:
        """MACs of the latest step, if of these candidates, an image; a backward pass is two forward passes."""
        again, passes, beside = costs_of(self.terms.values(), self.is_trained)
        taught = sum(network.cost.macs * (again + (cache is None or cache.was_asked))
                     for network, cache in zip(self.teacher_networks, self.caches, strict=True))
        return self.is_taught * taught + sum(passes * each.cost.macs + beside for each in candidates)

    def teach(self, inputs: Tensor, samples: list) -> list[Outputs]:
        """What each teacher makes of a preprocessed batch; nothing when no term asks for it."""
        with torch.no_grad():
            outputs = self._teach(inputs, samples)
            for term in self.terms.values():
                for each in outputs if term.needs_teacher else ():
                    term.ahead(each)
        return outputs

    def _teach(self, inputs: Tensor, samples: list) -> list[Outputs]:
        if not self.is_taught:
            return []
        outputs = []
        for i, teacher in enumerate(self.teachers):
            names, cache, images = self._teacher_names[i], self.caches[i], self.renormalisations[i](inputs)
            run = partial(teacher, images, mode='tensor')
            with watch(teacher, names) as seen:
                logits = run() if cache is None else cache.logits(samples, run, inputs.device)
            states = {name: one_tensor(seen, name, 'teacher') for name in names}
            outputs.append(Outputs(teacher, images, samples, logits, states, None, self.progress))
        return outputs

    def activate(self, candidate: Candidate | None) -> None:
        """Run as a candidate from now on; None, and a candidate that is no part of the network, is the whole of it."""
        self.active = candidate
        if isinstance(self.network.backbone, ElasticBackbone):
            self.network.backbone.activate(None if candidate is None else candidate.kept)

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor',
                targets: list[Outputs] | None = None) -> Any:
        """``mode='loss'`` needs ``targets`` from :meth:`teach`; other modes are the active candidate's own."""
        if mode != 'loss':
            return self.network(inputs, data_samples, mode=mode)
        if targets is None:
            raise ValueError("AMDDistiller needs the teacher's targets for a loss; train it with mmamd.JointTrainLoop, "
                             'as mmamd.MultiStepRunner does')
        return self.loss(inputs, data_samples, targets)

    def loss(self, inputs: Tensor, data_samples: list, targets: list[Outputs]) -> dict[str, Tensor]:
        """Weighted terms of the active candidate, named ``'<scale>.loss_<term>'``, and what else they report."""
        student = self.run(inputs, data_samples)
        losses: dict[str, Tensor] = {}
        for name, term in self.terms.items():
            found = mean([term.compare(student, teacher, i) for i, teacher in enumerate(
                targets if term.needs_teacher else [None])])
            for key, value in named_values(name, found, term.weight).items():
                if key in losses:
                    raise ValueError(f"losses.{name}: another term reports '{key}' too; leave one of them out")
                losses[key] = value
        if any(type(term).after_step is not Loss.after_step for term in self.terms.values()):
            self._latest = student.detached(), targets
        return {f'{key_of(self.active)}.{key}': value for key, value in losses.items()}

    def run(self, inputs: Tensor, samples: list) -> Outputs:
        """One pass of the active candidate."""
        with watch(self.network, [*self._own_names, self._logits_from]) as seen:
            needs_task = any(term.needs_task for term in self.terms.values())
            out = self.network(inputs, samples if needs_task else None, mode='loss' if needs_task else 'tensor')
        logits = one_tensor(seen, self._logits_from, 'student') if needs_task else out
        states = {name: one_tensor(seen, name, 'student') for name in self._own_names}
        return Outputs(self.network, inputs, samples, logits, states, out if needs_task else None, self.progress)

    @torch.no_grad()
    def after_step(self) -> None:
        """Let the terms remember what a step has seen."""
        if self._latest is not None:
            (student, teachers), self._latest = self._latest, None  # no graph, and no batch, outlives its step
            for term in self.terms.values():
                term.after_step(student, teachers)

    @torch.no_grad()
    def pictures(self, inputs: Tensor, samples: list) -> list[Maps]:
        """What the terms show of a preprocessed batch."""
        student, teachers = self.run(inputs, samples), self.teach(inputs, samples)
        return [picture for term in self.terms.values() for index, teacher in enumerate(teachers)
                for picture in term.pictures(student, teacher, index)]

    # --- what the host calls ---

    def init_weights(self) -> None:
        """Keep the weights that were loaded; Runner.train() would otherwise draw them anew."""
        if self.is_drawn:
            self.network.init_weights()

    def _apply(self, fn, recurse: bool = True) -> 'AMDDistiller':
        # The teachers follow the distiller to another device or dtype although they are no sub-modules.
        for teacher in self.teachers:
            teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)


def distiller_of(model: nn.Module) -> AMDDistiller:
    """The distiller that a runner's model is, or wraps for several processes."""
    return model.module if is_model_wrapper(model) else model
