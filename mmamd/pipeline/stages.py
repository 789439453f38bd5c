"""The stages of the method, each a function from files to files of the work_dir.

    teacher -> score -> nest -> joint -> select (-> joint_2 -> select_2 ...) -> student -> export
"""

import copy
import functools
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Subset

from mmamd.backbones.recalibration import recalibrate
from mmamd.distillation.amd_distiller import distiller_of
from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.export import config_of, cut_network, describe, export_onnx, save_model, save_student, student_config
from mmamd.pipeline.examples import write_examples
from mmamd.pipeline.preflight import Facts
from mmamd.pipeline.progress import EvaluationProgressHook, Progress, TrainingProgressHook
from mmamd.pipeline.seeding import EpochSeedHook, derive_seed, seed_all, seed_worker
from mmamd.pipeline.settings import is_hook, stage_settings, teacher_settings, with_test_pipeline
from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pruning.candidates import make_family
from mmamd.pruning.complexity import cost_function
from mmamd.pruning.filter_norms import greedy_norms, independent_norms
from mmamd.pruning.importance import check_importance, score
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, Importance, Selection, write_json
from mmamd.visualization import plot_selection
from mmamd.weights.checkpoint import load_weights, read_weights

EXTERNAL = ('student_architecture', 'connect')  # what the distiller is told of a student of another architecture


@dataclass
class Context:
    """What every stage may read.

    Attributes:
        cfg: The run's config, data_root filled in.
        facts: What the check of the config found out.
        work_dir: The run's folder.
        seed: The run's seed.
        spend: Called with a stage and the wall time of each of its epochs.
        resume_from: Checkpoint that the user asked the interrupted stage to continue from.
        progress: What the stages tell how far they are.
    """

    cfg: Config
    facts: Facts
    work_dir: Path
    seed: int
    spend: Callable[[str, float], None]
    resume_from: str | None = None
    progress: Progress = field(default_factory=lambda: Progress({}))

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

    def statistics(self, number: int) -> Path | None:
        """Batch norm statistics of the candidates of the n-th joint stage; None for a network without batch norm."""
        if number == 0 or not self.facts.recalibration:
            return None
        return self.work_dir / numbered('select', number) / 'statistics.pth'

    @property
    def student(self) -> Candidate:
        """The student; where it is of another architecture it keeps no units of the teacher's."""
        if self.facts.external_cost is None:
            return self.family.student
        return Candidate(self.facts.compression.student, {}, self.facts.external_cost, units=0.)

    @property
    def student_architecture(self) -> dict | None:
        """Config of the student where it is of another architecture."""
        return self.cfg.model.get('student_architecture')

    def architecture(self, other: dict | None = None) -> dict:
        """Config of the teacher's network, or of another one, with the run's preprocessor."""
        architecture = copy.deepcopy(other or self.cfg.model.architecture)
        if self.cfg.get('data_preprocessor') is not None:
            architecture.setdefault('data_preprocessor', copy.deepcopy(self.cfg.data_preprocessor))
        return architecture


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
    """Score every unit, on training images without augmentation or by its weights: ``score/importance.json``."""
    network = _teacher_network(context)
    method = context.facts.compression.importance.method
    importance = _reaction_of_the_loss(context, network) if method == 'taylor' else _norms(context, network, method)
    check_importance(importance, network.backbone.unit_groups())
    if is_main_process():
        importance.save(context.work_dir / 'score' / 'importance.json')
    barrier()


def _reaction_of_the_loss(context: Context, network: torch.nn.Module) -> Importance:
    settings = context.facts.compression.importance
    loader = Runner.build_dataloader(
        dict(dataset=_drawn_images(context, settings.num_images), batch_size=settings.batch_size,
             num_workers=context.cfg.train_dataloader.get('num_workers', 0), collate_fn=dict(type='default_collate'),
             sampler=dict(type='DefaultSampler', shuffle=False, round_up=False)), seed=context.seed)
    network = network.to(get_device())
    batches = (_labels_as_floats(network.data_preprocessor(batch, training=False))
               for batch in _counted(loader, context.progress))
    return score(network, batches, level=settings.level)


def _norms(context: Context, network: torch.nn.Module, method: str) -> Importance:
    layers = network.backbone.filter_layers()
    if method == 'l1_greedy':
        return Importance(greedy_norms(layers, context.facts.flat_family.student.kept), 0, method)
    return Importance(independent_norms(layers), 0, method)


def _drawn_images(context: Context, num_images: int, *, augmented: bool = False) -> Subset:
    """Training images, read through the test pipeline, or augmented as in training."""
    train, test = context.cfg.train_dataloader.dataset, context.cfg.test_dataloader.dataset
    dataset = DATASETS.build(copy.deepcopy(train) if augmented else with_test_pipeline(train, test))
    dataset.full_init()
    # Data sets are often sorted by class, so the images are drawn, not taken from the front.
    return Subset(dataset, np.random.default_rng(context.seed).permutation(len(dataset))[:num_images].tolist())


def _counted(loader: DataLoader, progress: Progress) -> Iterator[dict]:
    """The loader's batches; asking for the next one tells that those before it have been scored."""
    for i, batch in enumerate(loader):
        progress.update('score', i / len(loader), 'training images')
        yield batch


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
    splits = evaluated_splits(cfg)
    images = {split: context.facts.datasets[split]['images'] for split in splits}
    held_out = images['val'] / sum(images.values())
    runner.register_hook(EvaluationProgressHook(stage, context.progress, val=(0., held_out), test=(held_out, 1.)))
    if context.facts.recalibration:
        distiller = distiller_of(runner.model)
        batches = _recalibration_batches(context, distiller.data_preprocessor)
        for candidate in (None, *distiller.candidates):
            distiller.recalibrate(candidate, batches())
        if is_main_process():
            distiller.save_statistics(folder / 'statistics.pth')
    runner.val()
    # The test split is reported, and read by no rule.
    test = runner.test() if 'test' in splits else {}
    if is_main_process():
        write_json(folder / 'test_metrics.json', test)
        family = CandidateFamily.load(model['family'])
        plot_selection(Selection.load(folder / 'selection.json'), family, folder / 'selection.png',
                       has_student=context.student_architecture is None)
    barrier()


def evaluated_splits(cfg: Config) -> tuple[str, ...]:
    """Splits that candidates are evaluated on: the held-out images, and the test split where it is reported."""
    reported = all(hook.get('report_test', True) for hook in cfg.get('custom_hooks', [])
                   if is_hook(hook, 'NPSDSelectionHook'))
    return ('val', 'test') if reported else ('val',)


def train_student(context: Context) -> None:
    """Distil the last assistant into the student, from the shared weights: ``student/trained.pth``."""
    number = context.facts.compression.num_assistants
    settings = stage_settings(context.cfg, 'student')
    model = _distiller_settings(context, number) | {'train_scales': [context.facts.compression.student]}
    model |= {key: context.cfg.model.get(key) for key in EXTERNAL}
    hooks = [hook for hook in context.cfg.get('custom_hooks', [])
             if not is_hook(hook, 'NPSDSelectionHook', 'SandwichSparsityHook')]
    _train(context, 'student', {**settings, 'model': model, 'custom_hooks': hooks},
           {**settings.train_cfg, 'type': 'mmamd.JointTrainLoop'})
    _keep_last_weights(context, 'student', 'trained.pth')
    if context.facts.recalibration and context.student_architecture is None:
        _recalibrate_student(context)


def _recalibrate_student(context: Context) -> None:
    """Find the student's statistics as those of all candidates are found."""
    if is_main_process():
        network = MODELS.build(context.architecture())
        path = context.work_dir / 'student' / 'trained.pth'
        load_weights(network, str(path))
        network = network.to(get_device())
        network.backbone.activate(context.student.kept)
        recalibrate(network, _recalibration_batches(context, network.data_preprocessor)())
        save_student(network, path)
    barrier()


# --- after it ---

def export_student(context: Context) -> None:
    """Cut the student out, save its forms, and evaluate it and the teacher on the test split: ``export/``.

    The forms lie in ``student/``: ``student.pth`` with ``config.py``, ``student.safetensors`` and ``model.onnx``.
    Others, and other candidates, are written by :func:`mmamd.export_model` when they are asked for.
    """
    folder = context.work_dir / 'student'
    network = MODELS.build(context.architecture(context.student_architecture))
    load_weights(network, str(folder / 'trained.pth'))
    student, input_shape = context.student, context.facts.input_shape
    if context.student_architecture is None:
        config, small = student_config(context.cfg, network, student), cut_network(network, student)
    else:
        config, small = config_of(context.cfg, context.student_architecture), network.eval()
    if is_main_process():
        metadata = describe(config, student, input_shape)
        save_student(small, folder / 'student.pth')
        save_model(small, config, folder / 'student.safetensors', metadata)
        config.dump(folder / 'config.py')
        export_onnx(small, folder / 'model.onnx', metadata, input_shape=input_shape)
    barrier()
    teachers_part = 1 / (1 + student.scale)  # of the arithmetic
    metrics = {
        'teacher': _test(context, 'teacher', context.architecture(), context.teacher, (0., teachers_part)),
        'student': _test(context, 'student', config.model, folder / 'student.pth', (teachers_part, 1.))}
    if is_main_process():
        write_json(context.work_dir / 'export' / 'test_metrics.json', metrics)
        write_examples(context)
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
        optim_wrapper=on_this_machine(settings['optim_wrapper']), param_scheduler=settings.get('param_scheduler'),
        auto_scale_lr=settings.get('auto_scale_lr'), load_from=settings.get('load_from'),
        # One seed on all ranks, or they would draw different candidates; EpochSeedHook tells their images apart.
        randomness={**(settings.get('randomness') or {}), 'seed': seed, 'diff_rank_seed': False})
    progress = TrainingProgressHook(stage, context.progress, functools.partial(context.spend, stage))
    for hook in (EpochSeedHook(stage), progress):
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
    statistics = context.statistics(number)
    return {**{key: value for key, value in context.cfg.model.items() if key not in EXTERNAL},
            'teacher': weights, 'teacher_scale': scale, 'init': weights,
            'teacher_statistics': None if statistics is None else str(statistics),
            'family': str(context.work_dir / 'nest' / 'family.json'), 'train_scales': smaller}


def _recalibration_batches(context: Context, preprocessor: torch.nn.Module) -> Callable[[], Iterator[torch.Tensor]]:
    """Function that gives images as a training step sees them, the same on every rank and in every call."""
    dataset = _drawn_images(context, context.facts.recalibration, augmented=True)  # listed once for all candidates
    seed = derive_seed(context.seed, 'recalibration')

    def batches() -> Iterator[torch.Tensor]:
        seed_all(seed)  # what is drawn in this process: all augmentation without workers, mixup with them
        loader = DataLoader(dataset, collate_fn=default_collate, worker_init_fn=seed_worker,
                            batch_size=context.facts.compression.recalibration.batch_size,
                            num_workers=context.cfg.train_dataloader.get('num_workers', 0),
                            generator=torch.Generator().manual_seed(seed))
        for batch in loader:
            yield preprocessor(batch, training=True)['inputs']

    return batches


def _teacher_network(context: Context) -> torch.nn.Module:
    network = MODELS.build(context.architecture())
    load_weights(network, context.teacher)
    return network


def _test(context: Context, name: str, model: dict, weights: str | Path,
          part: tuple[float, float]) -> dict[str, float]:
    """Metrics of a network on the test split; ``part`` is where in the stage this lies, for the progress."""
    cfg = context.cfg
    runner = build_stage_runner(cfg, f'export_{name}', context.work_dir / 'export', model=model, custom_hooks=[],
                                test_dataloader=cfg.test_dataloader, test_evaluator=cfg.test_evaluator,
                                test_cfg=cfg.test_cfg, randomness=dict(seed=context.seed))
    network = runner.model.module if hasattr(runner.model, 'module') else runner.model
    load_weights(network, str(weights))
    runner.register_hook(EvaluationProgressHook('export', context.progress, test=part))
    return runner.test()


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
