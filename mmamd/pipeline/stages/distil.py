"""Distil teachers into candidates that share their weights, into one candidate, or into another architecture."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

from mmamd.backbones.recalibration import batch_norms, recalibrate, save_statistics, statistics
from mmamd.distillation.averaging import averaging_hook
from mmamd.distillation.distiller import AMDDistiller, distiller_of
from mmamd.distillation.joint_loop import macs_of_step
from mmamd.distillation.losses.loss import build_terms, costs_of
from mmamd.distillation.sandwich_hook import SandwichSparsityHook
from mmamd.distillation.shrinking import in_place
from mmamd.pipeline.config.settings import section_settings
from mmamd.pipeline.context import BLACK_BOX, Context
from mmamd.pipeline.plain import digest
from mmamd.pipeline.stages.budget import epochs_within, stretched
from mmamd.pipeline.stages.data import check_places, recalibration_batches
from mmamd.pipeline.stages.expected import expected_number, expected_scale_sum
from mmamd.pipeline.stages.single_images import check_single_images_of
from mmamd.pipeline.stages.teacher_cache import TeacherCacheSettings, cache_hook, check_cache, repeating
from mmamd.pipeline.stages.term_files import TERMS, read_found
from mmamd.pipeline.stages.training import TrainingStage, check_schedule, keep_last_terms, keep_last_weights, train
from mmamd.registry import MODELS
from mmamd.seeds import derive_seed
from mmamd.structures import Candidate, Network, scale_key
from mmamd.weights.networks import build_network, find_network, read_networks, save_networks


@dataclass(frozen=True, kw_only=True)
class Distil(TrainingStage):
    """Train candidates by a sum of losses: ``shared.pth`` of several, ``trained.pth`` of one, and ``networks.json``.

    Attributes:
        section: Section of the config that it is scheduled by.
        teachers: References to the networks that teach.
        into: Scales that are trained; of several, those that are smaller than the first teacher. Or one reference to a
            network whose candidate is trained: a choice, whose scale is not known before it is made.
        start: Reference to the network whose weights it starts from; None draws them.
        architecture: Of the network that is trained.
        is_candidate: Whether that is the teacher's architecture, cut; else it is another one.
        losses: Terms of the loss.
        distiller: What the config says of the distiller beside these.
        sampler: Which candidates a step trains; None for all.
        recalibration: How batch norm statistics are found, with the images' pipeline; None without batch norm.
        trains: ``'student'``, or ``'losses'`` for the parameters of the terms alone.
        terms_from: Stage whose terms hand their state to the terms of the same names.
        budget: What the whole run may cost, from which its epochs follow (:mod:`mmamd.pipeline.stages.budget`); None
            for those of its schedule.
        average: ``dict(share=...)``, with which it delivers the average of its weights
            (:class:`mmamd.distillation.AveragedNetwork`); None delivers the last ones.
        teacher_cache: How many views of an image the teachers are asked for, each once; None asks them every time.
        found: File of an earlier search, whose terms take the places of those of the same names in ``losses``, which
            stand for them until it is there.
    """

    kind: ClassVar[str] = 'distil'
    section: str
    teachers: tuple
    into: tuple
    start: str | None
    architecture: dict
    is_candidate: bool
    losses: dict
    distiller: dict
    sampler: SandwichSparsityHook | None = None
    recalibration: dict | None = None
    trains: str = 'student'
    terms_from: str | None = None
    budget: float | None = None
    average: dict | None = None
    teacher_cache: TeacherCacheSettings | None = None
    found: str | None = None

    @property
    def recipe_epochs(self) -> int:
        """Epochs that its schedule says."""
        return self.schedule['train_cfg']['max_epochs']

    def epochs(self, context: Context) -> int:
        """Epochs that it trains."""
        return self.recipe_epochs if self.budget is None else epochs_within(self, context)

    def networks(self) -> list[str]:
        chosen = [each for each in self.into if isinstance(each, str)]
        return list(dict.fromkeys([*self.teachers, *([self.start] if self.start else []), *chosen]))

    def files(self) -> list[str]:
        of_terms = [str(Path(file).absolute()) for term in build_terms(self.losses).values() for file in term.files]
        earlier = [*([f'{self.terms_from}/{TERMS}'] if self.terms_from else []), *([self.found] if self.found else [])]
        return ['nest/family.json', *earlier, *of_terms]

    def scales(self, context: Context) -> list[float]:
        """Scales that are trained; of a choice that is still to be made, as it is planned."""
        return [context.scale_of(each) if isinstance(each, str) else each for each in self.into]

    def candidates(self, context: Context, family: Sequence[Candidate], below: float) -> list[Candidate]:
        """What is trained, ascending by scale."""
        scales = self.scales(context)
        if not self.is_candidate:
            return [Candidate(scales[0], None, context.student_cost, units=0.)]
        if isinstance(self.into[0], str):  # as long as it is not chosen, the nearest stands for it
            return [min(family, key=lambda candidate: abs(candidate.scale - scales[0]))]
        wanted = [candidate for candidate in family if candidate.key in map(scale_key, scales)]
        return wanted if len(wanted) == 1 else [candidate for candidate in wanted if candidate.scale < below]

    # --- before anything runs ---

    def check(self, context: Context) -> None:
        check_schedule(self, section_settings(context.cfg, self.section))
        if self.schedule['optim_wrapper'].get('accumulative_counts', 1) != 1:
            raise ValueError('optim_wrapper.accumulative_counts must stay 1: a joint step accumulates over its '
                             f'candidates, got {self.schedule["optim_wrapper"]["accumulative_counts"]}; leave it out')
        if self.trains not in ('student', 'losses'):
            raise ValueError(f"pretrain.trains must be 'student' or 'losses', got {self.trains!r}")
        if not self.is_candidate:
            self._check_other(context)
        epochs = self.epochs(context)  # refuses a budget that leaves none
        distiller = self.untrained(context)
        check_single_images_of(self, distiller, context)
        if self.sampler is not None:
            self.sampler.check(distiller, epochs)
        self._check_average(distiller)
        self._check_teachers(distiller, context)
        if any(term.needs_places for term in distiller.terms.values()):
            check_places(context.training_dataset(self.loader), self.seed)
        if self.teacher_cache is not None:
            check_cache(self, distiller, context)

    def untrained(self, context: Context) -> AMDDistiller:
        """Its distiller, of untrained networks of the family of equally important units: they have the modules and the
        shapes. Stages that differ in the scale alone, such as those of a manual search, share one."""
        candidates = self.candidates(context, context.flat_family.candidates, 1.)
        pruned, other = Network(context.architecture, None, cost=context.teacher_cost), context.black_box
        teachers = [asdict(Network(other.architecture, None, cost=other.cost) if each == BLACK_BOX else pruned)
                    for each in self.teachers]
        are_pruned = [each != BLACK_BOX for each in self.teachers]
        key = digest([self.losses, self.distiller, self.architecture, self.images.num, are_pruned, len(candidates),
                      self.is_candidate, self.trains])
        if key not in context.built:
            with torch.random.fork_rng(devices=[]):
                context.built[key] = MODELS.build(self._model(teachers, None, candidates))
        return context.built[key]

    def _check_other(self, context: Context) -> None:
        """A student of another architecture must have the teacher's classes and the size that the config says."""
        own, teachers = context.other_student.logits_shape, context.logits_shape
        if own != teachers:
            remedy = (f'give both the classes of the data: compression.student_architecture.{context.task.classes_key}='
                      f'{teachers[0]}' if own[0] != teachers[0] else
                      'give both maps of one size, by the strides and dilations of the backbone')
            raise ValueError(f'compression.student_architecture has logits of shape {own} (classes first), the teacher '
                             f'{teachers}; {remedy}')
        name = 'params' if context.settings.compression.scale_by == 'params' else 'macs'
        share = getattr(context.student_share, name) / getattr(context.teacher_cost - context.unscaled, name)
        if abs(share - self.into[0]) > 0.005 + 1e-9:
            part = "'s backbone" * context.task.scales_backbone
            raise ValueError(f'compression.student_architecture has {share:.4f} of the {name} of the teacher{part}, '
                             f'but compression.student_scale={self.into[0]}; the assistant is chosen above that scale, '
                             f'so set compression.student_scale={share:.2f}')

    def _check_teachers(self, distiller: AMDDistiller, context: Context) -> None:
        several = any(len(each.teachers) > 1 for each in (self, *context.stages) if isinstance(each, Distil))
        for name, term in distiller.terms.items():
            if term.needs_several and not several:
                raise ValueError(f'losses.{name}: a {type(term).__name__} needs earlier assistants beside the teacher, '
                                 f"and in each training of this method one network teaches; take method.type='mmamd."
                                 "DGKD', or mmamd.LogitLoss")

    def _check_average(self, distiller: AMDDistiller) -> None:
        if self.average is None:
            return
        where = f'{self.section}.average'
        if self.trains == 'losses':
            raise ValueError(f"{where}={self.average} averages the network, which pretrain.trains='losses' freezes; "
                             f'set {where}=None')
        if batch_norms(distiller.network) and not self.recalibration:
            raise ValueError(f'{where}={self.average} would deliver averaged weights under batch norm statistics of '
                             'others, which are not found anew for a network that is no cut of a teacher with batch '
                             f'norm; set {where}=None')

    def _model(self, teachers: list[dict], start: str | None, candidates: list[Candidate],
               terms_from: str | None = None) -> dict:
        return copy.deepcopy({**self.distiller, 'architecture': self.architecture, 'teacher': teachers, 'start': start,
                              'candidates': [asdict(candidate) for candidate in candidates], 'losses': self.losses,
                              'num_images': self.images.num, 'seed': derive_seed(self.seed, self.name),
                              'trains': self.trains, 'terms_from': terms_from})

    def macs(self, context: Context) -> float:
        return self.macs_of(context, self.epochs(context))

    def macs_of(self, context: Context, epochs: float) -> float:
        """What so many epochs take."""
        distiller = self.untrained(context)
        terms = distiller.terms.values()
        again, passes, beside = costs_of(terms, distiller.is_trained)
        taught_by = any(term.needs_teacher for term in terms) * sum(map(context.macs_of, self.teachers))
        below, trained = context.scale_of(self.teachers[0]), self.scales(context)
        if len(trained) > 1:
            trained = [scale for scale in trained if scale < below]
        number = expected_number(trained, self.sampler)
        step = context.macs_at(passes * expected_scale_sum(trained, self.sampler), passes * number)
        step += beside * number
        num = self.recalibration['num_images'] if self.recalibration else 0
        recalibrated = context.macs_at(num * sum(trained), num * len(trained))
        seen = self.images_seen * epochs / self.recipe_epochs
        return taught_by * (self.images_taught(seen) + again * seen) + step * seen + recalibrated

    def images_taught(self, images_seen: float) -> float:
        """Of so many images that are seen, how many a teacher is asked about; fewer, where another stage has asked."""
        if self.teacher_cache is None:
            return images_seen
        return min(images_seen, self.teacher_cache.views * self.images.num)

    # --- doing it ---

    def carry_out(self, context: Context) -> None:
        folder = context.work_dir / self.name
        runner = self.train(context, dict(type='mmamd.JointTrainLoop'))
        keep_last_terms(folder)
        if self.trains == 'losses':
            return
        candidates = distiller_of(runner.model).candidates
        weights = keep_last_weights(folder, 'shared.pth' if len(candidates) > 1 else 'trained.pth',
                                    lambda state: in_place(self.architecture, candidates, state))
        networks = {candidate.key: Network(self.architecture, weights, candidate.scale, candidate.kept, candidate.cost)
                    for candidate in candidates}
        if self.recalibration:
            networks = self._recalibrated(context, networks, folder / 'statistics.pth')
        if is_main_process():
            save_networks(context.work_dir, self.name, networks)
        barrier()

    def train(self, context: Context, loop: dict, macs_of: Callable[[Runner], int] = macs_of_step) -> Runner:
        """Train by a loop; returns the Runner, which may have been at the end before."""
        stage = replace(self, schedule=self.schedule_of(self.epochs(context)))
        hooks = [] if self.sampler is None else [self.sampler]
        hooks += [] if self.average is None else [averaging_hook(**self.average)]
        if self.teacher_cache is not None:
            stage = replace(stage, loader=repeating(self.loader, self.seed))
            teachers = [find_network(context.work_dir, reference) for reference in self.teachers]
            hooks.append(cache_hook(self, context, teachers))
        return train(context, stage, self.model(context), section_settings(context.cfg, self.section), macs_of, hooks,
                     loop)

    def model(self, context: Context) -> dict:
        """Settings of the distiller, of the networks and terms that the stages before have made."""
        teachers = [find_network(context.work_dir, reference) for reference in self.teachers]
        candidates = self.candidates(context, context.family.candidates, teachers[0].scale)
        start = None if self.start is None else find_network(context.work_dir, self.start).weights
        terms_from = None if self.terms_from is None else str(context.work_dir / self.terms_from / TERMS)
        teachers = [asdict(teacher) for teacher in teachers]
        return self._with_found(context)._model(teachers, start, candidates, terms_from)

    def _with_found(self, context: Context) -> 'Distil':
        if self.found is None:
            return self
        return replace(self, losses=self.losses | read_found(context.work_dir / self.found))

    def finished(self, context: Context) -> AMDDistiller:
        """The distiller of one network as it has left it, in eval mode."""
        teachers = [asdict(find_network(context.work_dir, reference)) for reference in self.teachers]
        network, = read_networks(context.work_dir, self.name).values()
        candidate = Candidate(network.scale, network.kept, network.cost, units=0.)
        distiller = MODELS.build(self._with_found(context)._model(
            teachers, network.weights, [candidate], str(context.work_dir / self.name / TERMS)))
        distiller.activate(candidate)
        return distiller.eval()

    def schedule_of(self, epochs: int) -> dict:
        """Its schedule for so many epochs."""
        if epochs == self.recipe_epochs:
            return self.schedule
        return {**self.schedule, 'train_cfg': {**self.schedule['train_cfg'], 'max_epochs': epochs},
                'param_scheduler': stretched(self.schedule['param_scheduler'], self.recipe_epochs, epochs)}

    def _recalibrated(self, context: Context, networks: dict[str, Network], path: Path) -> dict[str, Network]:
        """The networks with batch norm statistics of their own; of several, those of the whole network beside them."""
        shared = build_network(replace(next(iter(networks.values())), kept=None)).to(get_device())
        batches = recalibration_batches(context, self.loader, self.recalibration, shared.data_preprocessor)
        found: dict[str, Any] = {}
        # What a selection may compare the candidates of a joint stage with.
        whole = {scale_key(1.0): None} if self.section == 'joint' else {}
        for key, kept in {**whole, **{key: network.kept for key, network in networks.items()}}.items():
            shared.backbone.activate(kept)
            recalibrate(shared, batches())
            found[key] = statistics(shared)
            macs = context.teacher_cost.macs if kept is None else networks[key].cost.macs
            context.spend(self.name, 0., self.recalibration['num_images'] * macs)
        if is_main_process():
            save_statistics(found, path)
        return {key: replace(network, statistics=str(path)) for key, network in networks.items()}
