"""The builder with which a method lays the stages for a student, in order."""

from collections.abc import Sequence
from dataclasses import replace

from mmamd.methods.laid import Laid
from mmamd.pipeline.config.settings import section_losses, section_settings
from mmamd.pipeline.context import BLACK_BOX
from mmamd.pipeline.plain import plain
from mmamd.pipeline.stages import Distil, Refit, Select, Stage, Verify
from mmamd.pipeline.stages.data import recalibration_settings
from mmamd.pipeline.stages.teacher_cache import section_cache
from mmamd.pipeline.stages.term_files import FOUND
from mmamd.pipeline.stages.training import training_fields
from mmamd.selection.choice import MANUAL, is_by_scale
from mmamd.structures import scale_key

OF_THE_STAGE = ('architecture', 'teacher', 'losses')  # keys of `model` that a stage says itself


class Plan:
    """Stages for one student of a run. A method asks for networks and gets references to them.

    A run of several students has a plan for each. What does not depend on which of them it is keeps the name that the
    method gives it, and is laid once for all; candidates that are made together are those of all students. What trains
    a student, chooses for it, or follows from that is its own, and has its scale behind its name.

    Attributes:
        teacher: Reference to the teacher, its units in their order.
        student: Scale of the student.
        grid: Scales of the candidates above it, ascending.
        scales: Scale of the student, and those.
        chosen: Names of the stages that have chosen networks.
        delivered: References to what the method delivers, once it has laid all.
    """

    def __init__(self, laid: Laid, student: float) -> None:
        self._laid = laid
        self._context = laid.context
        self.teacher = laid.teacher
        self.student = student
        self.grid = tuple(scale for scale in laid.scales if scale > student)
        self.scales = [student, *self.grid]
        self.chosen: list[str] = []
        self.delivered: tuple[str, ...] = ()
        self._own: set[str] = set()

    @property
    def stages(self) -> list[Stage]:
        """What has been laid so far, for all students."""
        return self._laid.stages

    def check_scale(self, where: str, scale: float, scales: Sequence[float] | None = None) -> None:
        """Raise ValueError unless a scale is that of a candidate, by default of one above the smallest student."""
        known = list(self._laid.scales[1:] if scales is None else scales)
        if scale_key(scale) not in map(scale_key, known):
            raise ValueError(f'{where} names the scale {scale}, which is no candidate'
                             f'{" above the student" if scales is None else ""}; expected some of {known}: choose '
                             'among these, or name yours in compression.scales')

    def distil(self, name: str, *, teacher: str | Sequence[str], into: float | str | Sequence[float],
               start: str | None = None, epochs: int | None = None, without: Sequence[str] = ()) -> str:
        """Train one candidate, or several jointly, and return the reference to them.

        Args:
            name: Of the stage.
            teacher: Reference to who teaches, or several.
            into: Scale of what is trained, or scales: those not smaller than the teacher are left out. The student's
                own scale alone is the configured student, which may be of another architecture. Or a reference to a
                choice, whose candidate is trained. Where the config has a section ``pretrain``, the training of a
                single network has that before it.
            start: Reference to the network whose weights it starts from; by default the first teacher. A student of
                another architecture starts from nothing but what has been one before.
            epochs: Takes the place of the section's epochs, and of what a budget makes of them.
            without: Names of terms of the section that are left out.

        Raises:
            ValueError: If a scale is that of no candidate, a name that of no term, or no other term asks a teacher.
        """
        self._lay_search()
        laid = self._laid
        teachers = (teacher,) if isinstance(teacher, str) else tuple(teacher)
        several = not isinstance(into, (int, float, str))
        section = 'joint' if several else 'student'
        scales = tuple(into) if several else (into,)
        for scale in scales:
            if not isinstance(scale, str):
                self.check_scale(f'into of the stage {name!r}', scale, self.scales)
        is_student = not several and not isinstance(into, str) and scale_key(into) == scale_key(self.student)
        other = self._context.student_architecture if is_student else None
        start = start or teachers[0]
        start = None if other and start not in laid.others else start
        name = self._named(name, *teachers, start, *scales, is_own=is_student)
        who = BLACK_BOX if self._context.black_box else self.teacher
        common = dict(teachers=tuple(who if each == self.teacher else each for each in teachers), into=scales,
                      is_candidate=other is None, budget=self._context.settings.compression.budget,
                      architecture=other or self._context.architecture, sampler=self._context.settings.sampler
                      if several else None, **self._training())
        if not several and self._context.cfg.get('pretrain'):
            start, common = self._pretrained(name, start, common)
        stage = Distil(name=name, section=section, start=start, **common,
                       **self._scheduled(section, is_candidate=other is None, without=without))
        if epochs is not None:
            stage = replace(stage, schedule=stage.schedule_of(epochs), budget=None)
        if several:
            if name in self._own:
                laid.lay(stage)
            else:
                stage = laid.lay_candidates(stage)
            self._context.planned_scales |= {f'{name}@{scale_key(scale)}': scale for scale in stage.into}
            laid.shared.add(name)
            return name
        name = laid.lay(stage)
        self._context.planned_scales[name] = into
        if other:
            laid.others.add(name)
        if not isinstance(into, str):
            self._context.planned_scales[f'{name}@{scale_key(into)}'] = into
        return name

    def _lay_search(self) -> None:
        """Before the first training, search its terms: with the student, taught by the teacher."""
        search, self._laid.search = self._laid.search, None
        if search is not None:
            name = self.distil('search', teacher=self.teacher, into=self.student,
                               start=self.start('refit', self.student))
            self.stages[-1] = search.stage(self.stages[-1], self._context)
            self._laid.found = dict(found=f'{name}/{FOUND}', losses=search.expected())

    def _pretrained(self, name: str, start: str | None, common: dict) -> tuple[str | None, dict]:
        """Lay the training before a training; returns where that one starts, and its fields."""
        trains = self._context.cfg.pretrain.get('trains', 'student')
        if not common['is_candidate'] and trains == 'losses':
            raise ValueError("pretrain.trains='losses' would fit the terms to a student that is drawn anew after "
                             "it, as one of another architecture is; set pretrain.trains='student'")
        pretrain = self._laid.lay(Distil(name=f'pretrain_{name}', section='pretrain', start=start, trains=trains,
                                         **common,
                                         **self._scheduled('pretrain', is_candidate=common['is_candidate'])))
        return pretrain if trains == 'student' else start, {**common, 'terms_from': pretrain}

    def refit(self, name: str, into: float | Sequence[float], *, chosen: str | None = None,
              is_judged: bool = False) -> str | None:
        """Make candidates good in closed form and return the reference to them; None where no refit is configured.

        Args:
            name: Of the stage.
            into: Scale of a candidate, or scales. A student of another architecture is none, and is left out.
            chosen: Reference to a chosen network whose candidate is refitted too, under the key ``'assistant'``.
            is_judged: Whether the networks are judged only, for which fewer images do.
        """
        context, settings = self._context, self._context.settings.compression.refit
        scales = (into,) if isinstance(into, (int, float)) else tuple(into)
        for scale in scales:
            self.check_scale(f'into of the stage {name!r}', scale, self.scales)
        if context.student_architecture:
            scales = tuple(scale for scale in scales if scale_key(scale) != scale_key(self.student))
        if settings is None or not (scales or chosen):
            return None
        num_images = settings.num_images_candidates if is_judged else settings.num_images
        name = self._named(name, chosen)
        stage = Refit(name=name, teacher=self.teacher, into=scales,
                      chosen={} if chosen is None else {'assistant': chosen}, **Refit.fields_of(context, num_images))
        if chosen is None:
            scales = self._laid.lay_candidates(stage).into
        else:
            self._laid.lay(stage)
        context.planned_scales |= {f'{name}@{scale_key(scale)}': scale for scale in scales}
        if chosen is not None:
            context.planned_scales[f'{name}@assistant'] = chosen
        elif len(scales) == 1:
            context.planned_scales[name] = scales[0]
        return name

    def shared_start(self, name: str, how: str) -> str:
        """Make a network good that candidates are to share, for all students; returns the reference to its weights.

        Args:
            name: Of the stage.
            how: ``'smallest'``, for the smallest candidate alone, or for all of them in one walk
                (:mod:`mmamd.pruning.shared_refit`): ``'nested'``, where each larger one keeps what the smaller ones
                have, or ``'together'``, where every layer is a compromise of all.

        Raises:
            ValueError: If no refit is configured.
        """
        context, settings = self._context, self._context.settings.compression.refit
        if settings is None:
            raise ValueError(f"method.start={how!r} starts the joint stage from refit weights and needs "
                             "compression.refit, e.g. dict(num_images=3072), got None; or set method.start='none'")
        sharing = None if how == 'smallest' else how
        scales = tuple(self._laid.scales)
        self._laid.lay(Refit(name=name, teacher=self.teacher, into=scales if sharing else scales[:1], chosen={},
                             **Refit.fields_of(context, settings.num_images, sharing)))
        scale = 1. if sharing else scales[0]
        reference = f'{name}@{scale_key(scale)}'
        context.planned_scales[reference] = scale
        return reference

    @property
    def has_refit(self) -> bool:
        """Whether a refit is configured."""
        return self._context.settings.compression.refit is not None

    def start(self, refit: str | None, scale: float) -> str | None:
        """Reference to the refit weights of a candidate; None where there are none."""
        reference = f'{refit}@{scale_key(scale)}'
        return reference if reference in self._context.planned_scales else None

    def select(self, name: str, networks: str | Sequence[str], *, reference: str | None = None, above: float | None =
               None, rule: str | None = None) -> str:
        """Judge networks on held-out images and return the reference to the chosen one.

        Args:
            name: Of the stage.
            networks: Reference to a stage whose networks are judged, or references to networks of several stages.
            reference: Who they are compared with; the teacher by default.
            above: Scale that the choice must exceed; None for no such bound.
            rule: Takes the place of the configured rule.

        Raises:
            ValueError: If no rule is configured and the method brings none.
        """
        hook = self._laid.hook(rule)
        named = hook.rule == 'manual' and not isinstance(hook.scale, str)
        if named and self.chosen:
            raise ValueError(f"rule 'manual' names one assistant, scale={hook.scale}, but this method chooses several; "
                             "name 'largest' or 'smallest', or choose by another rule")
        slices = isinstance(networks, str) and networks in self._laid.shared
        if not slices and hook.reference == 'full':
            raise ValueError("NPSDSelectionHook.reference='full' is the shared network with all units, and what "
                             f"{name!r} judges are separate networks; set reference='teacher'")
        if not isinstance(networks, str) and hook.rule != MANUAL and is_by_scale(hook.rule):
            scales = [self._context.planned_scales.get(reference) for reference in networks]
            if len(set(scales)) < len(scales):
                raise ValueError(f'rule {hook.rule!r} compares networks by their scales, and those of {name!r} have '
                                 "one; choose by rule='best'")
        reference, scale_of = reference or self.teacher, self._context.scale_of
        judged = self._context.references_of(networks) if isinstance(networks, str) else networks
        eligible = scales = list(map(scale_of, judged))
        if above is not None:
            hook.check_scale([scale for scale in scales if scale > above])
            eligible = [scale for scale in scales if above < scale < scale_of(reference)] or scales
        candidates = (networks,) if isinstance(networks, str) else tuple(networks)
        name = self._laid.lay(self._laid.measured(Select(
            name=self._named(name, reference, *candidates, is_own=above is not None), candidates=candidates,
            are_slices=slices, reference=reference, above=above, **Select.fields_of(self._context, hook))))
        self.chosen.append(name)
        self._context.planned_scales[name] = eligible[(len(eligible) - 1) // 2]  # the middle of what it can be
        return name

    def verify(self) -> None:
        """Judge what is delivered on held-out images, to see whether it keeps what it is to keep."""
        self._laid.lay(Verify(name=f'verify_{scale_key(self.student)}', candidates=self.delivered, are_slices=False,
                              reference=self.teacher, above=None, keep=self._context.settings.compression.keep,
                              **Select.fields_of(self._context, self._laid.hook(
                                  'best', reference='teacher', report_test=False))))

    def _named(self, name: str, *read: str | float | None, is_own: bool = False) -> str:
        """Name of a stage: the student's own if it is made for it, or reads what is."""
        is_own = is_own or any(isinstance(each, str) and each.partition('@')[0] in self._own for each in read)
        if not (is_own and self._laid.several):
            return name
        name = f'{name}_{scale_key(self.student)}'
        self._own.add(name)
        return name

    def _scheduled(self, section: str, *, is_candidate: bool, without: Sequence[str] = ()) -> dict:
        settings = section_settings(self._context.cfg, section)
        fields = training_fields(settings.to_dict(), section)
        losses = section_losses(self._context.cfg, section, without)
        return dict(losses=losses | self._laid.found.get('losses', {}), found=self._laid.found.get('found'),
                    average=plain(self._context.cfg[section].get('average')),
                    teacher_cache=section_cache(self._context.cfg, section),
                    recalibration=recalibration_settings(self._context, fields['loader']) if is_candidate else None,
                    images=self._context.training_images(fields['loader']), **fields)

    def _training(self) -> dict:
        context = self._context
        distiller = {key: value for key, value in plain(context.cfg.model).items() if key not in OF_THE_STAGE}
        distiller.setdefault('logits_from', context.task.logits_from(context.network))
        return dict(distiller=distiller, seed=context.seed)
