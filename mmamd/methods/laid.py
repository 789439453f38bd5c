"""The stages of a run while they are laid, for one student after the other."""

from collections.abc import Sequence
from dataclasses import replace

from mmamd.pipeline.context import BLACK_BOX, Context
from mmamd.pipeline.inputs import Loader
from mmamd.pipeline.plain import plain
from mmamd.pipeline.stages import BlackBox, Distil, Export, Latency, Nest, Refit, Score, Select, Size, Stage, Teacher
from mmamd.selection.npsd_hook import NPSDSelectionHook


class Laid:
    """What the plans of all students have in common: the stages, each laid once.

    Every run begins with the stages teacher (where the config names no weights), score and nest, perhaps
    black_box.

    Attributes:
        context: The run.
        stages: What has been laid so far, in order.
        teacher: Reference to the teacher, its units in their order.
        scales: Of all candidates, ascending.
        several: Whether there may be several students, whose own stages then have their scales behind their names.
        shared: Stages whose networks are slices of one.
        others: Stages that train a student of another architecture.
        search: What finds terms of the loss and is still to be laid.
        found: Those terms, for the trainings after it.

    Raises:
        ValueError: If terms are to be searched for several students.
    """

    def __init__(self, context: Context) -> None:
        compression = context.settings.compression
        self.context = context
        self.stages: list[Stage] = [] if context.cfg.model.get('teacher') else [Teacher.of(context)]
        self.stages += [Score.of(context), Nest.of(context), *([BlackBox.of(context)] if context.black_box else [])]
        self.teacher = 'nest'
        context.planned_scales['nest'] = context.planned_scales[BLACK_BOX] = 1.
        self.scales = list(compression.family_scales)
        self.several = len(context.students) > 1 or compression.keep is not None
        self.shared: set[str] = set()
        self.others: set[str] = set()
        self.search = context.settings.search
        self.found: dict = {}
        self._before: set[str] = set()  # stages of earlier students
        if self.search is not None and self.several:
            raise ValueError('the section search finds terms for one student, and compression.student_scale='
                             f'{compression.student_scale!r} makes several; name one, or set search=None')
        if compression.latency is not None:
            self.lay(Latency.of(context))

    def begin(self) -> None:
        """What is laid from here on is the next student's."""
        self._before = {stage.name for stage in self.stages}

    def lay(self, stage: Stage) -> str:
        """Lay a stage and return its name, or that of an earlier student's stage that does the same.

        Raises:
            ValueError: If another stage has its name, or it reads what no stage before it makes.
        """
        known = {earlier.name: earlier for earlier in self.stages}
        twin = next((name for name in known if name in self._before and replace(stage, name=name) == known[name]), None)
        if twin is not None:
            return twin
        if stage.name in known:
            own = 'that says its scale' if self.several and stage.name in self._before else 'of its own'
            raise ValueError(f'a method lays two stages of the name {stage.name!r}; each needs a name {own}')
        for reference in stage.networks():
            if reference.partition('@')[0] not in known:
                raise ValueError(f'the stage {stage.name!r} of this method reads {reference!r}, which no stage before '
                                 f'it makes; there are {sorted(known)}')
        self.stages.append(stage)
        return stage.name

    def lay_candidates(self, stage: Distil | Refit) -> Distil | Refit:
        """Lay a stage that makes candidates for all students; returns it as it is laid.

        Where an earlier student has asked for the same of other scales, one stage makes all of them; where the size of
        the student is still to be found, of all candidates, which the stage size then judges.
        """
        if not self.several:
            self.lay(stage)
            return stage
        scales = set(stage.into)
        place = next((i for i, each in enumerate(self.stages) if each.name == stage.name
                      and each.name in self._before and replace(stage, into=each.into) == each), None)
        if self.context.settings.compression.keep is not None:
            scales |= set(self.scales)
        elif place is not None:
            scales |= set(self.stages[place].into)
        stage = replace(stage, into=tuple(sorted(scales)))
        if place is None:
            self.lay(stage)
            self._size_by(stage)
        else:
            self.stages[place] = stage
        return stage

    def _size_by(self, stage: Stage) -> None:
        """The size of the student is chosen by the first candidates there are."""
        compression = self.context.settings.compression
        if compression.keep is None or any(isinstance(each, Size) for each in self.stages):
            return
        self.lay(Size(name='size', candidates=(stage.name,), are_slices=isinstance(stage, Distil),
                      reference=self.teacher, above=None, keep=compression.keep, sizes=tuple(compression.sizes),
                      **Select.fields_of(self.context, self.hook('best', reference='teacher'))))

    def hook(self, rule: str | None = None, **options) -> NPSDSelectionHook:
        """What chooses by a rule, with the configured options but for those given; by default by the configured rule.

        Raises:
            ValueError: If no rule is given and none is configured.
        """
        hook = self.context.settings.selection
        if hook is None and rule is None:
            raise ValueError('expected one NPSDSelectionHook in custom_hooks to choose the assistant, got 0; add '
                             "dict(type='mmamd.NPSDSelectionHook', rule='npsd')")
        hook = hook or NPSDSelectionHook(rule=rule, metric=self.context.metric, percent=self.context.task.is_percent)
        return hook if rule is None else hook.with_rule(rule, **options)

    def measured(self, stage: Select) -> Select:
        """A selection that takes its measurements from one that has judged the same before it, if there is one."""
        earlier = next((each for each in self.stages if isinstance(each, Select) and each.measures == stage.measures
                        and (each.name in self._before or isinstance(each, Size))), None)
        return stage if earlier is None else replace(stage, table=earlier.table or earlier.name)

    def finish(self, delivered: Sequence[str], chosen: Sequence[str]) -> list[Stage]:
        """Lay the stage that delivers networks; returns all stages.

        Args:
            delivered: References to the networks.
            chosen: Stages that have chosen assistants on the way, which are shown beside them.
        """
        context = self.context
        shown = {'teacher': self.teacher, **{'assistant' if len(chosen) == 1 else f'assistant {number}': name
                                             for number, name in enumerate(chosen, 1)}}
        self.lay(Export(
            delivered=tuple(delivered), shown=shown, teacher=context.teacher, images=context.images('test'),
            loader=Loader({'dataset': context.cfg.test_dataloader.dataset.to_dict()}),
            evaluator=plain(context.cfg.test_evaluator), test_cfg=plain(context.cfg.get('test_cfg')),
            seed=context.seed, judged=(BLACK_BOX,) if context.black_box else ()))
        return self.stages
