"""The runner that carries one config through all stages of the method."""

import functools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, get_rank, get_world_size, is_main_process
from mmengine.registry import init_default_scope

from mmamd import compat
from mmamd.pipeline import preflight, stages
from mmamd.pipeline.progress import Progress, ProgressHook
from mmamd.pipeline.settings import digest, fill_data_root, stage_settings
from mmamd.pipeline.stages import Context, numbered
from mmamd.pipeline.state import RunState, file_digest
from mmamd.pipeline.summary import expected_scale_sum, summarise
from mmamd.registry import RUNNERS


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: Name, and folder under the work_dir.
        run: What it does.
        reads: Values of the config that its outcome depends on, by name.
        files: Files it reads, relative to the work_dir, or a path of the user's.
        work: Planned arithmetic in MACs, for the remaining time.
    """

    name: str
    run: Callable[[Context], None]
    reads: dict
    files: list[str]
    work: float


@RUNNERS.register_module()
class MultiStepRunner:
    """Carry a config through teacher, score, nest, joint, select, student and export.

    A finished stage is skipped, an interrupted one continues at its last whole epoch, and a stage whose inputs have
    changed is refused with what changed. Everything a run learns lies in its work_dir; ``summary.json`` sums it up.

    Args:
        cfg: A config whose model is :class:`AMDDistiller`. Beside MMEngine's own keys it reads ``compression``,
            ``joint``, ``student``, ``teacher_config``, ``data_root``, ``start_from`` and ``resume``.

    Raises:
        ValueError, FileNotFoundError: From :meth:`train`, before anything is written, if the config, its data, its
            teacher or the work_dir cannot be what the run needs.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        if not cfg.get('work_dir'):
            raise ValueError('work_dir is not set; give --work-dir, or work_dir= in the config')
        self.work_dir = Path(cfg.work_dir)
        fill_data_root(cfg)

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'MultiStepRunner':
        """The host's way to build a runner."""
        return cls(cfg if isinstance(cfg, Config) else Config(cfg))

    def train(self) -> dict:
        """Run all stages that are not finished. Returns the summary, on every rank."""
        compat.init_distributed(self.cfg.get('launcher', 'none'), (self.cfg.get('env_cfg') or {}).get('dist_cfg'))
        init_default_scope(self.cfg.get('default_scope', 'mmpretrain'))
        state = RunState(self.work_dir)
        self._check_work_dir(state)
        facts = preflight.check(self.cfg)
        state.content['seed'] = self._seed(state)

        say = _console()
        if is_main_process():
            self.work_dir.mkdir(parents=True, exist_ok=True)
        context = Context(self.cfg, facts, self.work_dir, state.content['seed'],
                          make_progress_hook=lambda stage: ProgressHook(
                              stage, progress, functools.partial(self._spend, state, stage)),
                          resume_from=self.cfg.load_from if self.cfg.get('resume') else None)
        plan = self._plan(context)
        if self.cfg.get('start_from'):
            self._start_from(self.cfg.start_from, plan, state)
        self._refuse_changes(plan, state)
        if is_main_process():
            state.save()
            self.cfg.dump(self.work_dir / 'run_config.py')
        progress = Progress({stage.name: stage.work for stage in plan}, say) if is_main_process() else None
        for stage in plan:
            self._carry(stage, context, state, progress, say)
        return summarise(context, state, [stage.name for stage in plan], say)

    # --- the plan ---

    def _plan(self, context: Context) -> list[Stage]:
        cfg, facts = context.cfg, context.facts
        compression, macs = facts.compression, facts.teacher_cost.macs
        images = {split: facts.datasets[split]['images'] for split in facts.datasets}
        network = dict(architecture=cfg.model.architecture, data_preprocessor=cfg.get('data_preprocessor'),
                       seed=context.seed)
        training = dict(losses=cfg.model.get('losses'), train_data=facts.datasets['train'],
                        processes=get_world_size())
        grid = dict(student=compression.student, scales=facts.scales, scale_by=compression.scale_by,
                    prune=compression.prune, round_to=compression.round_to)
        hooks = {name: [hook for hook in cfg.get('custom_hooks', []) if hook['type'].endswith(name)]
                 for name in ('SandwichSparsityHook', 'NPSDSelectionHook')}
        plan = []

        def schedule(section: str) -> dict:
            settings = stage_settings(cfg, section)
            keys = ('train_cfg', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'auto_scale_lr')
            return {key: settings.get(key) for key in keys}

        if cfg.model.get('teacher') is None:
            teacher = Config.fromfile(cfg.teacher_config)
            keys = ('model', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'train_dataloader')
            plan.append(Stage('teacher', stages.train_teacher,
                              {**{key: teacher.get(key) for key in keys}, 'seed': context.seed}, [],
                              3 * macs * images['train'] * teacher.train_cfg.max_epochs))
            teacher_file = 'teacher/teacher.pth'
        else:
            teacher_file = cfg.model.teacher
        plan.append(Stage('score', stages.score_units,
                          {**network, 'importance': compression.importance.__dict__,
                           'train_data': facts.datasets['train'],
                           'test_pipeline': cfg.test_dataloader.dataset.get('pipeline')},
                          [teacher_file], 3 * macs * compression.importance.num_images))
        plan.append(Stage('nest', stages.nest_candidates, {**network, **grid},
                          [teacher_file, 'score/importance.json'], 0.))

        shared = 'nest/reordered.pth'
        for number in range(1, compression.num_assistants + 1):
            joint, select = numbered('joint', number), numbered('select', number)
            before = [shared] + ([f'{numbered("select", number - 1)}/selection.json'] if number > 1 else [])
            settings = schedule('joint')
            step = 1 + 3 * expected_scale_sum(facts.scales, hooks['SandwichSparsityHook'])
            plan.append(Stage(joint, functools.partial(stages.train_jointly, number=number),
                              {**network, **training, **settings, 'sampler': hooks['SandwichSparsityHook']},
                              ['nest/family.json', *before],
                              step * macs * images['train'] * settings['train_cfg']['max_epochs']))
            shared = f'{joint}/shared.pth'
            plan.append(Stage(select, functools.partial(stages.select_assistant, number=number),
                              {**network, 'rule': hooks['NPSDSelectionHook'], 'held_out': facts.datasets['val'],
                               'test_data': facts.datasets['test'], 'evaluator': cfg.val_evaluator},
                              ['nest/family.json', shared],
                              (2 + sum(facts.scales)) * macs * (images['val'] + images['test'])))
        settings = schedule('student')
        assistant = [f'{numbered("select", compression.num_assistants)}/selection.json'] \
            if compression.num_assistants else []
        # The assistant is not known yet; half the teacher is the middle of what it can be.
        step = (0.5 if assistant else 1.) + 3 * compression.student
        plan.append(Stage('student', stages.train_student, {**network, **training, **settings},
                          ['nest/family.json', shared, *assistant],
                          step * macs * images['train'] * settings['train_cfg']['max_epochs']))
        plan.append(Stage('export', stages.export_student,
                          {'test_data': facts.datasets['test'], 'evaluator': cfg.test_evaluator},
                          [teacher_file, 'nest/family.json', 'student/trained.pth'],
                          (1 + compression.student) * macs * images['test']))
        return plan

    def _fingerprint(self, stage: Stage) -> dict[str, str]:
        files = {}
        for name in stage.files:
            path = self.work_dir / name
            source = path if path.exists() else Path(name)
            # A URL or a zoo key has no file here; its name is its identity.
            files[f'file {name}'] = file_digest(source) if source.is_file() else name
        return {**{name: digest(value) for name, value in stage.reads.items()}, **files}

    # --- skip, continue, refuse ---

    def _check_work_dir(self, state: RunState) -> None:
        if self.cfg.get('resume') and not state.exists:
            raise FileNotFoundError(f'nothing to resume: {self.work_dir} holds no stages.json; leave --resume out to '
                                    'start a run there, or give the --work-dir of the run to resume')
        folders = ('teacher', 'score', 'nest', 'joint', 'select', 'student', 'export')
        foreign = [name for name in folders if (self.work_dir / name).exists()]
        if foreign and not state.exists:
            raise FileExistsError(f'{self.work_dir} holds {foreign} of something that is not a run of mmamd (there is '
                                  'no stages.json); give another --work-dir')

    def _start_from(self, name: str, plan: list[Stage], state: RunState) -> None:
        names = [stage.name for stage in plan]
        if name not in names:
            raise ValueError(f'--start-from {name}: there is no such stage; the stages of this run are {names}')
        missing = [before for before in names[:names.index(name)] if not state.is_finished(before)]
        if missing:
            raise ValueError(f'--start-from {name}: the stages {missing} before it are not finished; start from '
                             f'{missing[0]}')
        if is_main_process():
            state.forget(names[names.index(name):])
        else:
            kept = names[:names.index(name)]
            state.content['stages'] = {n: entry for n, entry in state.content['stages'].items() if n in kept}
        barrier()

    def _refuse_changes(self, plan: list[Stage], state: RunState) -> None:
        """Before anything runs: every stage that has been started must have been started from the same inputs."""
        for stage in plan:
            if not state.is_started(stage.name):
                return
            changed = state.changes(stage.name, self._fingerprint(stage))
            if changed:
                raise ValueError(
                    f"{self.work_dir} holds a stage '{stage.name}' that was made from other inputs; changed since: "
                    f"{', '.join(changed)}. Redo it with --start-from {stage.name}, or give another --work-dir")

    def _carry(self, stage: Stage, context: Context, state: RunState, progress: Progress | None,
               say: Callable[[str], None]) -> None:
        if state.is_finished(stage.name):
            if progress is not None:
                progress.skip(stage.name)
            say(f'{stage.name}: finished before, skipped')
            return
        continued = state.is_started(stage.name)
        # Only the stage that was interrupted continues from the checkpoint that the user named.
        if not continued:
            context.resume_from = None
        elif context.resume_from and Path(context.resume_from).resolve().parent != (
                self.work_dir / stage.name).resolve():
            raise ValueError(f"--resume {context.resume_from}: expected a checkpoint of the interrupted stage "
                             f"'{stage.name}' in {self.work_dir / stage.name}, or --resume alone for its last one")
        fingerprint = self._fingerprint(stage)
        if is_main_process():
            state.start(stage.name, fingerprint)
            progress.start(stage.name)
            if continued:
                say(f'    {stage.name} was interrupted; it continues')
        else:
            state.content['stages'].setdefault(stage.name, {'finished': False, 'seconds': 0.})
        self._accounted = 0.
        begin = time.monotonic()
        stage.run(context)
        barrier()
        context.resume_from = None
        if is_main_process():
            state.spend(stage.name, time.monotonic() - begin - self._accounted)
            state.finish(stage.name)
            progress.finish(stage.name)
        else:
            state.content['stages'][stage.name]['finished'] = True

    def _spend(self, state: RunState, stage: str, seconds: float) -> None:
        if is_main_process():
            state.spend(stage, seconds)
            self._accounted += seconds

    def _seed(self, state: RunState) -> int:
        """The config's seed, the one drawn when the run began, or a new draw; the same on every rank."""
        seed = (self.cfg.get('randomness') or {}).get('seed')
        if seed is None:
            seed = state.content['seed']
        if seed is None:
            seed = int.from_bytes(os.urandom(4), 'big') >> 1
        shared = [seed]
        broadcast_object_list(shared)
        return shared[0]


def _console() -> Callable[[str], None]:
    """Where the pipeline's own lines go: the first rank's standard output."""
    if get_rank():
        return lambda text: None
    return functools.partial(print, file=sys.stdout, flush=True)


