"""The stages of the method, each a function from files to files of the work_dir.

    teacher -> score -> nest -> joint -> select (-> joint_2 -> select_2 ...) -> student -> export
"""

import copy
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import Subset

from mmamd.distillation.checkpoint import load_weights, read_weights
from mmamd.export import cut_network, export_onnx, save_student, student_config
from mmamd.pipeline.preflight import Facts
from mmamd.pipeline.progress import ProgressHook
from mmamd.pipeline.seeding import EpochSeedHook, derive_seed
from mmamd.pipeline.settings import is_hook, stage_settings, teacher_settings, with_test_pipeline
from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pruning.candidates import make_family
from mmamd.pruning.complexity import cost_function
from mmamd.pruning.importance import check_importance, score
from mmamd.registry import MODELS
from mmamd.structures import CandidateFamily, Importance, Selection, write_json
from mmamd.visualization import plot_selection


@dataclass
class Context:
    """What every stage may read.

    Attributes:
        cfg: The run's config, data_root filled in.
        facts: What the check of the config found out.
        work_dir: The run's folder.
        seed: The run's seed.
        make_progress_hook: Stage name -> hook of its training.
        resume_from: Checkpoint that the user asked the interrupted stage to continue from.
    """

    cfg: Config
    facts: Facts
    work_dir: Path
    seed: int
    make_progress_hook: Callable[[str], ProgressHook]
    resume_from: str | None = None

    @property
    def teacher(self) -> str:
        """Where the teacher's weights are: as configured, or what the first stage trained."""
        return self.cfg.model.get('teacher') or str(self.work_dir / 'teacher' / 'teacher.pth')

    @property
    def family(self) -> CandidateFamily:
        return CandidateFamily.load(self.work_dir / 'nest' / 'family.json')

    def assistant(self, number: int) -> float | None:
        """Scale of the n-th assistant, counted from 1; None (the teacher itself) for 0."""
        if number == 0:
            return None
        return Selection.load(self.work_dir / numbered('select', number) / 'selection.json').assistant

    def shared(self, number: int) -> Path:
        """Weights of the shared network after the n-th joint stage; for 0, the teacher's, reordered."""
        return self.work_dir / (f'{numbered("joint", number)}/shared.pth' if number else 'nest/reordered.pth')


def numbered(stage: str, number: int) -> str:
    """Name of the n-th repetition of a stage: joint, joint_2, ..."""
    return stage if number == 1 else f'{stage}_{number}'


# --- before distillation ---

def train_teacher(context: Context) -> None:
    """Train the teacher by its own config: ``teacher/teacher.pth``."""
    cfg = teacher_settings(context.cfg)
    settings = {**cfg, 'launcher': context.cfg.get('launcher', 'none'), 'env_cfg': context.cfg.get('env_cfg')}
    _train(context, 'teacher', settings, cfg.train_cfg)
    _keep_last_weights(context, 'teacher', 'teacher.pth')


def score_units(context: Context) -> None:
    """Score every unit on training images without augmentation: ``score/importance.json``."""
    cfg, settings = context.cfg, context.facts.compression.importance
    dataset = DATASETS.build(with_test_pipeline(cfg.train_dataloader.dataset, cfg.test_dataloader.dataset))
    dataset.full_init()
    # Data sets are often sorted by class, so the images are drawn, not taken from the front.
    drawn = np.random.default_rng(context.seed).permutation(len(dataset))[:settings.num_images]
    loader = Runner.build_dataloader(
        dict(dataset=Subset(dataset, drawn.tolist()), batch_size=settings.batch_size,
             num_workers=cfg.train_dataloader.get('num_workers', 0), collate_fn=dict(type='default_collate'),
             sampler=dict(type='DefaultSampler', shuffle=False, round_up=False)), seed=context.seed)
    network = _teacher_network(context).to(get_device())
    batches = (_labels_as_floats(network.data_preprocessor(batch, training=False)) for batch in loader)
    importance = score(network, batches, level=settings.level)
    check_importance(importance, network.backbone.unit_groups())
    if is_main_process():
        importance.save(context.work_dir / 'score' / 'importance.json')
    barrier()


def _labels_as_floats(data: dict) -> dict:
    # A preprocessor with mixup writes labels as integer one-hots and makes them floats only where it mixes.
    for sample in data['data_samples']:
        if 'gt_score' in sample:
            sample.set_gt_score(sample.gt_score.float())
    return data


def nest_candidates(context: Context) -> None:
    """Rank, reorder, and cut the family: ``nest/family.json``, ``nest/reordered.pth``."""
    network = _teacher_network(context)  # on every rank: loading from a URL is a collective call
    if is_main_process():
        compression = context.facts.compression
        groups = network.backbone.unit_groups()
        importance = Importance.load(context.work_dir / 'score' / 'importance.json')
        check_importance(importance, groups)
        family = make_family(groups, importance, cost_function(network), context.facts.scales,
                             scale_by=compression.scale_by, prune=compression.prune, round_to=compression.round_to)
        network.backbone.reorder(family.order)
        family.save(context.work_dir / 'nest' / 'family.json')
        save_student(network, context.work_dir / 'nest' / 'reordered.pth')
    barrier()


# --- distillation ---

def train_jointly(context: Context, number: int) -> None:
    """Distil the (n-1)-th assistant into all smaller candidates at once: ``joint/shared.pth``."""
    stage = numbered('joint', number)
    settings = stage_settings(context.cfg, 'joint')
    model = _distiller_settings(context, number - 1)
    hooks = [hook for hook in context.cfg.get('custom_hooks', []) if not is_hook(hook, 'NPSDSelectionHook')]
    _train(context, stage, {**settings, 'model': model, 'custom_hooks': hooks},
           {**settings.train_cfg, 'type': 'mmamd.JointTrainLoop'})
    _keep_last_weights(context, stage, 'shared.pth')


def select_assistant(context: Context, number: int) -> None:
    """Evaluate all candidates at the end of the joint stage and choose: ``select/selection.json``."""
    stage = numbered('select', number)
    folder = context.work_dir / stage
    cfg = context.cfg
    model = _distiller_settings(context, number - 1) | {'init': str(context.shared(number))}
    left = context.facts.compression.num_assistants - number
    hooks = [{**hook, 'rounds_left': left} for hook in cfg.get('custom_hooks', [])
             if is_hook(hook, 'NPSDSelectionHook')]
    loop = dict(type='mmamd.CandidateValLoop')
    runner = build_stage_runner(
        cfg, stage, folder, model=model, custom_hooks=hooks, randomness=dict(seed=context.seed),
        val_dataloader=cfg.val_dataloader, val_evaluator=cfg.val_evaluator, val_cfg=loop,
        test_dataloader=cfg.test_dataloader, test_evaluator=cfg.test_evaluator,
        test_cfg=dict(loop, split='test', num_bootstrap=0))
    runner.val()
    # The test split is reported, and read by no rule.
    test = runner.test()
    if is_main_process():
        write_json(folder / 'test_metrics.json', test)
        family = CandidateFamily.load(model['family'])
        plot_selection(Selection.load(folder / 'selection.json'), family, folder / 'selection.png')
    barrier()


def train_student(context: Context) -> None:
    """Distil the last assistant into the student, from the shared weights: ``student/trained.pth``."""
    number = context.facts.compression.num_assistants
    settings = stage_settings(context.cfg, 'student')
    model = _distiller_settings(context, number) | {'train_scales': [context.facts.compression.student]}
    hooks = [hook for hook in context.cfg.get('custom_hooks', [])
             if not is_hook(hook, 'NPSDSelectionHook', 'SandwichSparsityHook')]
    _train(context, 'student', {**settings, 'model': model, 'custom_hooks': hooks},
           {**settings.train_cfg, 'type': 'mmamd.JointTrainLoop'})
    _keep_last_weights(context, 'student', 'trained.pth')


# --- after it ---

def export_student(context: Context) -> None:
    """Cut the student out, save its forms, and evaluate it and the teacher on the test split: ``export/``.

    The forms lie in ``student/``: ``student.pth``, ``config.py`` and ``model.onnx``.
    """
    folder = context.work_dir / 'student'
    network = MODELS.build(_architecture(context))
    load_weights(network, str(folder / 'trained.pth'))
    student = context.family.student
    config = student_config(context.cfg, network, student)
    small = cut_network(network, student)
    if is_main_process():
        save_student(small, folder / 'student.pth')
        config.dump(folder / 'config.py')
        export_onnx(small, folder / 'model.onnx')
    barrier()
    metrics = {name: _test(context, name, model, weights) for name, model, weights in (
        ('teacher', _architecture(context), context.teacher), ('student', config.model, folder / 'student.pth'))}
    if is_main_process():
        write_json(context.work_dir / 'export' / 'test_metrics.json', metrics)
    barrier()


# --- shared by the stages ---

def _train(context: Context, stage: str, settings: dict, train_cfg: dict) -> None:
    """Train by an ordinary Runner in the stage's folder, continuing from its last whole epoch if there is one."""
    folder = context.work_dir / stage
    loader = copy.deepcopy(settings['train_dataloader'])
    loader.update(persistent_workers=False, worker_init_fn=dict(type='mmamd.seed_worker'))
    seed = derive_seed(context.seed, stage)
    torch.manual_seed(seed)  # a network that is built before the Runner seeds must not depend on what ran before
    runner = build_stage_runner(
        settings, stage, folder, custom_hooks=settings.get('custom_hooks') or [], train_dataloader=loader,
        train_cfg={key: value for key, value in train_cfg.items() if key != 'val_interval'},
        optim_wrapper=settings['optim_wrapper'], param_scheduler=settings.get('param_scheduler'),
        auto_scale_lr=settings.get('auto_scale_lr'), load_from=settings.get('load_from'),
        # One seed on all ranks, or they would draw different candidates; EpochSeedHook tells their images apart.
        randomness={**(settings.get('randomness') or {}), 'seed': seed, 'diff_rank_seed': False})
    for hook in (EpochSeedHook(stage), context.make_progress_hook(stage)):
        runner.register_hook(hook)
    checkpoint = context.resume_from or last_checkpoint(folder)
    if checkpoint is not None:
        runner._load_from, runner._resume = str(checkpoint), True
    runner.train()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a stage.

    The host notes an absolute path; only its name is read, so that a moved work_dir can be continued.
    """
    note = folder / 'last_checkpoint'
    noted = folder / Path(note.read_text().strip()).name if note.exists() else folder
    if noted.is_file():
        return noted
    # A process killed while it wrote the note leaves it empty; a checkpoint is whole when its archive has its index.
    whole = [path for path in folder.glob('epoch_*.pth') if zipfile.is_zipfile(path)]
    return max(whole, key=lambda path: int(path.stem.split('_')[1]), default=None)


def _keep_last_weights(context: Context, stage: str, name: str) -> None:
    """Save the network of a stage's last checkpoint as plain tensors."""
    if is_main_process():
        folder = context.work_dir / stage
        state = read_weights(str(last_checkpoint(folder)))
        torch.save({'state_dict': state, 'meta': {}}, folder / name)
    barrier()


def _distiller_settings(context: Context, number: int) -> dict:
    """Distiller whose teacher is the n-th assistant (0: the teacher itself) and who trains what is smaller."""
    weights, scale = str(context.shared(number)), context.assistant(number)
    smaller = [c.scale for c in context.family.candidates if scale is None or c.scale < scale]
    return {**context.cfg.model, 'teacher': weights, 'teacher_scale': scale, 'init': weights,
            'family': str(context.work_dir / 'nest' / 'family.json'), 'train_scales': smaller}


def _architecture(context: Context) -> dict:
    architecture = copy.deepcopy(context.cfg.model.architecture)
    if context.cfg.get('data_preprocessor') is not None:
        architecture.setdefault('data_preprocessor', copy.deepcopy(context.cfg.data_preprocessor))
    return architecture


def _teacher_network(context: Context) -> torch.nn.Module:
    network = MODELS.build(_architecture(context))
    load_weights(network, context.teacher)
    return network


def _test(context: Context, name: str, model: dict, weights: str | Path) -> dict[str, float]:
    cfg = context.cfg
    runner = build_stage_runner(cfg, f'export_{name}', context.work_dir / 'export', model=model, custom_hooks=[],
                                test_dataloader=cfg.test_dataloader, test_evaluator=cfg.test_evaluator,
                                test_cfg=cfg.test_cfg, randomness=dict(seed=context.seed))
    network = runner.model.module if hasattr(runner.model, 'module') else runner.model
    load_weights(network, str(weights))
    return runner.test()


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
