"""The runner that carries one config through all stages of the method."""

import copy
import functools
import time
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.registry import init_default_scope

from mmamd import compat
from mmamd.files.checkpoint import trust_checkpoints
from mmamd.files.run_config import encode, write_run_config
from mmamd.notices import forget, host_notices_once
from mmamd.pipeline.advice import advise_after, advise_before
from mmamd.pipeline.class_names import with_class_names
from mmamd.pipeline.config.host_parts import check_scope
from mmamd.pipeline.config.kinds import TOP_LEVEL, check_kinds
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.config.twin import take_twin
from mmamd.pipeline.console import console
from mmamd.pipeline.context import Context
from mmamd.pipeline.images.check import check_images
from mmamd.pipeline.inputs import fill_data_root
from mmamd.pipeline.lock import WorkDirLock, WorkDirTaken, on_first_rank
from mmamd.pipeline.outputs import note, refuse_damage
from mmamd.pipeline.plain import types_in
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.progress_display import make_display
from mmamd.pipeline.reuse import check_donors, take_over
from mmamd.pipeline.seeding import run_seed
from mmamd.pipeline.sizing import known_before, lay_stages
from mmamd.pipeline.stages import Stage, clear_folders, fingerprint
from mmamd.pipeline.stages.budget import plan_of
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import StatusFile
from mmamd.pipeline.summary import source_commit, summarise
from mmamd.registry import RUNNERS


@RUNNERS.register_module()
class MultiStepRunner:
    """Carry a config through the stages of its method: score, nest, what the method lays, export.

    A finished stage is skipped, an interrupted one continues at its last whole epoch, and a stage whose inputs have
    changed is refused with what changed. Everything a run learns lies in its work_dir; ``summary.json`` sums it up.

    Args:
        cfg: A config whose model is :class:`AMDDistiller`. Beside MMEngine's own keys it reads ``compression``,
            ``method``, ``search``, ``joint``, ``student``, ``pretrain``, ``teacher``, ``teacher_config``,
            ``data_root``, ``allow_overlap``, ``trust_checkpoints``, ``reuse_stages``, ``start_from`` and ``resume``.

    Raises:
        ValueError, FileNotFoundError: From :meth:`train`, before anything is written, if the config, its data, its
            teacher or the work_dir cannot be what the run needs.
        WorkDirTaken: Before anything is written, if another run holds the work_dir.
        TrainingDiverged: If a stage that trains diverges; see :class:`mmamd.pipeline.divergence.DivergenceHook`.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        forget()
        check_kinds(cfg, TOP_LEVEL)  # before anything stumbles over a wrong type
        if not cfg.get('work_dir'):
            raise ValueError('work_dir is not set; give --work-dir, or work_dir= in the config')
        self.work_dir = Path(cfg.work_dir)
        fill_data_root(cfg)
        trust_checkpoints(cfg.get('trust_checkpoints', False))

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'MultiStepRunner':
        """The host's way to build a runner."""
        return cls(cfg if isinstance(cfg, Config) else Config(cfg))

    def train(self) -> dict:
        """Run all stages that are not finished. Returns the summary, on every rank."""
        source_commit()  # of the code that runs, whatever lies there when it ends
        compat.init_distributed(self.cfg.get('launcher', 'none'), (self.cfg.get('env_cfg') or {}).get('dist_cfg'))
        check_scope(self.cfg.get('default_scope', 'mmpretrain'))
        init_default_scope(self.cfg.get('default_scope', 'mmpretrain'))
        take_twin(self.cfg)
        settings = Settings.from_cfg(self.cfg)
        # What the work_dir holds is data: of types that are no components it may name those of the configs alone.
        own = [self.cfg.to_dict()]
        if not self.cfg.model.get('teacher') and Path(self.cfg.get('teacher_config') or '').is_file():
            own.append(Config.fromfile(self.cfg.teacher_config).to_dict())
        with compat.registered_types_only(types_in(own)), host_notices_once():
            return self._run(settings)

    def _run(self, settings: Settings) -> dict:
        state = RunState(self.work_dir)
        on_first_rank(WorkDirLock(self.work_dir).check)
        self._check_work_dir(state)
        check_donors(self.cfg.get('reuse_stages') or (), self.work_dir)
        kept = takewhile(lambda name: name != self.cfg.get('start_from'), state.content['stages'])
        on_first_rank(functools.partial(refuse_damage, state, list(kept)))
        known = known_before(state, self.cfg.get('start_from'))
        context = Context(self.cfg, settings, self.work_dir, run_seed(self.cfg, state.content['seed']),
                          spend=functools.partial(self._spend, state), spent=known.spent, planned=known.planned,
                          resume_from=self.cfg.load_from if self.cfg.get('resume') else None)
        encode(self._own_config().to_dict())  # refuses what could not be written
        stages = lay_stages(context, known)
        _ = context.class_names  # refuses names that fit no head
        check_images(context, console(), are_new=not state.exists or bool(self.cfg.get('start_from')))
        context.built.clear()
        redone = self._compare(stages, context, state)
        with ExitStack() as held:
            on_first_rank(functools.partial(self._hold, held, state))
            self._begin(stages, redone, context, state)
            context.spent, context.planned = state.spent, state.planned
            console()('\n'.join(plan_of(context)))
            advise_before(context, state, console())
            with ExitStack() as stack:
                listeners = [stack.enter_context(listener) for listener in (
                    (make_display(), StatusFile(self.work_dir)) if is_main_process() else ())]
                context.progress = Progress({stage.name: stage.macs(context) for stage in stages}, listeners)
                self._carry_all(context, state)
            return summarise(context, state, console())

    def _carry_all(self, context: Context, state: RunState) -> None:
        """Carry out every stage in order; after one that decides what follows, the rest is laid anew."""
        carried = set()
        while waiting := [stage for stage in context.stages if stage.name not in carried]:
            self._carry(waiting[0], context, state)
            carried.add(waiting[0].name)
            if waiting[0].decides:
                lay_stages(context, state)
                context.built.clear()
                context.progress.replan({stage.name: stage.macs(context) for stage in context.stages})
                self._note_delivered(context, state)

    def _note_delivered(self, context: Context, state: RunState) -> None:
        state.content['delivered'] = list(context.stages[-1].delivered)
        if is_main_process():
            state.save()

    def _compare(self, stages: list[Stage], context: Context, state: RunState) -> list[str]:
        """Hold the stages against what is there, and refuse it or return which of them are redone."""
        method = type(context.settings.method).__name__
        redone = self._redone([stage.name for stage in stages], state)
        redone += [name for name in state.content['stages'] if redone and name not in [each.name for each in stages]]
        self._refuse_changes([stage for stage in stages if stage.name not in redone], redone, state, method)
        self._check_resumed_checkpoint(stages, context.resume_from, state)
        return redone

    def _hold(self, stack: ExitStack, state: RunState) -> None:
        """Keep others out of the work_dir from here on; what was checked must be what is there now."""
        stack.enter_context(WorkDirLock(self.work_dir, console()))
        if RunState(self.work_dir).content != state.content:
            raise WorkDirTaken(f'another run has changed {self.work_dir} while this one was being checked; give the '
                               'command again')

    def _begin(self, stages: list[Stage], redone: list[str], context: Context, state: RunState) -> None:
        """Forget what is redone, and write what the run is."""
        barrier()  # every rank has read what the first one now rewrites
        if is_main_process():
            for stage in stages:
                if stage.name in redone:
                    stage.clear(self.work_dir)
            for name in set(redone) - {stage.name for stage in stages}:  # of other options of the method
                clear_folders(self.work_dir, name)
            state.forget(redone)  # after its files: of a forgotten stage whatever lies there would be continued
        for name in redone:
            state.content['stages'].pop(name, None)
        barrier()
        state.content.update(seed=context.seed, method=type(context.settings.method).__name__)
        self._note_delivered(context, state)
        if is_main_process():
            write_run_config(with_class_names(self._own_config(), context.class_names), self.work_dir)

    def _own_config(self) -> Config:
        """The config without how this process was told to continue the run."""
        cfg = copy.deepcopy(self.cfg)
        cfg.merge_from_dict(dict(start_from=None, resume=False, load_from=None))
        cfg.pop('reuse_stages', None)
        return cfg

    # --- skip, continue, refuse ---

    def _check_work_dir(self, state: RunState) -> None:
        if self.cfg.get('resume') and not state.exists:
            raise FileNotFoundError(f'nothing to resume: {self.work_dir} holds no stages.json; leave --resume out to '
                                    'start a run there, or give the --work-dir of the run to resume')
        folders = ('teacher', 'score', 'nest', 'joint', 'select', 'student', 'export')  # names that runs usually have
        foreign = [name for name in folders if (self.work_dir / name).exists()]
        if foreign and not state.exists:
            raise FileExistsError(f'{self.work_dir} holds {foreign} of something that is not a run of mmamd (there is '
                                  'no stages.json); give another --work-dir')

    def _redone(self, names: list[str], state: RunState) -> list[str]:
        """Stages that ``start_from`` asks to redo."""
        first = self.cfg.get('start_from')
        if not first:
            return []
        if self.cfg.get('resume') and self.cfg.get('load_from'):
            raise ValueError(f'--start-from {first} deletes what --resume {self.cfg.load_from} would continue from; '
                             'give one of the two')
        if first not in names:
            raise ValueError(f'--start-from {first}: there is no such stage; the stages of this run are {names}')
        before = names[:names.index(first)]
        missing = [name for name in before if not state.is_finished(name)]
        if missing:
            raise ValueError(f'--start-from {first}: {missing} before it are not finished; start from {missing[0]}')
        return names[len(before):]

    def _check_resumed_checkpoint(self, stages: list[Stage], checkpoint: str | None, state: RunState) -> None:
        if checkpoint is None:
            return
        interrupted = [stage.name for stage in stages
                       if state.is_started(stage.name) and not state.is_finished(stage.name)]
        if not interrupted:
            raise ValueError(f'--resume {checkpoint}: no stage of {self.work_dir} was interrupted; leave the '
                             'checkpoint out, the run continues with its next stage')
        folder = self.work_dir / interrupted[0]
        if Path(checkpoint).resolve().parent != folder.resolve():
            raise ValueError(f"--resume {checkpoint}: expected a checkpoint of the interrupted stage "
                             f"'{interrupted[0]}' in {folder}, or --resume alone for its last one")

    def _refuse_changes(self, stages: list[Stage], redone: list[str], state: RunState, method: str) -> None:
        """Before anything runs: every stage that has been started must have been started from the same inputs."""
        names = [stage.name for stage in stages]
        foreign = [name for name in state.content['stages'] if name not in [*names, *redone]]
        if foreign:
            other = 'other options of' if state.content['method'] == method else 'another method,'
            raise ValueError(f"{self.work_dir} holds the stages {foreign} of {other} {state.content['method']}, which "
                             f'this {method} does not have; give another --work-dir, or redo with --start-from')
        for i, stage in enumerate(stages):
            if not state.is_started(stage.name):
                later = [after.name for after in stages[i:] if state.is_started(after.name)]
                if later:
                    raise ValueError(f"{self.work_dir} holds {later}, made without the stage '{stage.name}' that this "
                                     f'config has; redo with --start-from {stage.name}, or give another --work-dir')
                return
            changed = state.changes(stage.name, fingerprint(stage, self.work_dir))
            if changed:
                raise ValueError(
                    f"{self.work_dir} holds a stage '{stage.name}' that was made from other inputs; changed since: "
                    f"{', '.join(changed)}. Redo it with --start-from {stage.name}, or give another --work-dir")

    def _carry(self, stage: Stage, context: Context, state: RunState) -> None:
        if state.is_finished(stage.name):
            context.progress.skip(stage.name, state.seconds(stage.name))
            return
        if self._reused(stage, state):
            context.progress.skip(stage.name, state.seconds(stage.name))
            return
        context.progress.start(stage.name, state.seconds(stage.name), continued=state.is_started(stage.name))
        if is_main_process():
            state.start(stage.name, stage.kind, fingerprint(stage, self.work_dir), stage.macs(context))
        else:
            state.content['stages'].setdefault(stage.name, {
                'kind': stage.kind, 'finished': False, 'seconds': 0., 'macs': 0.})
        self._accounted = 0.
        begin = time.monotonic()
        stage.carry_out(context)
        barrier()
        context.resume_from = None
        if is_main_process():
            # A stage that trains has counted its steps; of another the plan is what it took.
            macs = 0. if state.content['stages'][stage.name]['macs'] else stage.macs(context)
            state.spend(stage.name, time.monotonic() - begin - self._accounted, macs)
            state.finish(stage.name, note(self.work_dir, stage.outputs(self.work_dir)))
        entry = state.content['stages'][stage.name]
        spent = [entry['macs']]
        broadcast_object_list(spent)  # later stages may go by it, on every rank
        entry.update(finished=True, macs=spent[0])
        context.progress.finish(stage.name)
        advise_after(stage, context, state, console())

    def _reused(self, stage: Stage, state: RunState) -> bool:
        """Take a stage over from a run of ``reuse_stages``, with what it has cost there."""
        found = [None]
        if is_main_process() and self.cfg.get('reuse_stages') and not state.is_started(stage.name):
            found[0] = take_over(self.cfg.reuse_stages, stage.name, fingerprint(stage, self.work_dir), self.work_dir)
        broadcast_object_list(found)
        entry, = found
        if entry is None:
            return False
        state.content['stages'][stage.name] = entry
        if is_main_process():
            state.save()
        console()(f'{stage.name} is taken over from {entry["reused_from"]}, which made it from the same inputs')
        barrier()
        return True

    def _spend(self, state: RunState, stage: str, seconds: float, macs: float) -> None:
        if is_main_process():
            state.spend(stage, seconds, macs)
            self._accounted += seconds
