"""Cut the delivered network out, save its forms, and judge it and the teacher on the test images."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from mmamd.export import (
    PREDICT,
    check_finite,
    config_of,
    cut_network,
    describe,
    export_onnx,
    save_model,
    save_student,
    student_config,
)
from mmamd.files.json_file import write_json
from mmamd.files.whole import EXPORTED
from mmamd.pipeline.class_names import with_class_names, with_dataset_meta
from mmamd.pipeline.class_values import class_values
from mmamd.pipeline.context import Context
from mmamd.pipeline.examples import write_examples
from mmamd.pipeline.images.splits import check_image_size, check_metric
from mmamd.pipeline.inputs import Images, Loader, Weights
from mmamd.pipeline.progress_hooks import EvaluationProgressHook
from mmamd.pipeline.scenes import write_scenes
from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pipeline.stages.stage import Stage
from mmamd.pipeline.term_pictures import write_term_pictures
from mmamd.structures import Network
from mmamd.visualization.class_plot import ClassValues
from mmamd.visualization.students import name_of
from mmamd.weights.checkpoint import load_weights
from mmamd.weights.networks import build_network, find_network, save_networks

UNCHECKED = 'unchecked'


@dataclass(frozen=True, kw_only=True)
class Export(Stage):
    """Write what the method delivers into ``student/``: ``student.pth``, ``config.py``, safetensors, ONNX and
    ``predict.py``.

    Where it delivers several networks, each has a folder of its own, ``student/<reference>/``. The files are written
    and tested in ``export/unchecked/`` and put in their places when all networks have passed, ``student.pth`` of each
    last. Other forms, and other candidates, are written by :func:`mmamd.export_model` when they are asked for.

    Attributes:
        delivered: References to the networks.
        shown: Name -> reference of what the test images are shown to beside them.
        judged: References to other networks that are tested beside them: a teacher that is not pruned.
        teacher: The user's weights, or a reference to the stage that trained them.
        images: The test images.
        loader, evaluator, test_cfg: Of the test split.
        seed: The run's.
    """

    kind: ClassVar[str] = 'export'
    name: str = 'export'
    delivered: tuple
    teacher: str | Weights
    images: Images
    loader: Loader
    evaluator: dict | list
    seed: int
    test_cfg: dict | None = None
    shown: dict = field(default_factory=dict)
    judged: tuple = ()

    def networks(self) -> list[str]:
        return list(dict.fromkeys([*([self.teacher] if isinstance(self.teacher, str) else []), *self.delivered,
                                   *self.shown.values(), *self.judged]))

    def check(self, context: Context) -> None:
        check_image_size(context.dataset('test'), context.network, context.task)
        check_metric(context.cfg, 'test', context.dataset('test'), context.network, context.task, context.metric)

    def macs(self, context: Context) -> float:
        judged = sum(map(context.macs_of, (*self.delivered, *self.judged)))
        return (context.teacher_cost.macs + judged) * self.images.num

    def folder(self, work_dir: Path, reference: str) -> Path:
        """Where the files of a delivered network lie."""
        return work_dir / 'student' / (reference if len(self.delivered) > 1 else '')

    def outputs(self, work_dir: Path) -> list[str]:
        return super().outputs(work_dir) + [str((self.folder(work_dir, reference) / name).relative_to(work_dir))
                                            for reference in self.delivered for name in EXPORTED]

    def clear(self, work_dir: Path) -> None:
        super().clear(work_dir)
        for reference in self.delivered:  # an earlier student must not be taken for the one that is made anew
            for name in reversed(EXPORTED):
                (self.folder(work_dir, reference) / name).unlink(missing_ok=True)

    def carry_out(self, context: Context) -> None:
        delivered = {reference: find_network(context.work_dir, reference) for reference in self.delivered}
        others = {reference: find_network(context.work_dir, reference) for reference in self.judged}
        done, all_macs = 0., 1. + sum(network.scale for network in (delivered | others).values())
        metrics, written, by_class = {}, {}, {}
        for name, network in {'teacher': context.teacher_network(), **others, **delivered}.items():
            model, weights = network.architecture, network.weights
            if name in delivered:
                written[name] = small = self._write(context, name, network)
                model, weights = small.architecture, small.weights
            part = done / all_macs, (done + network.scale) / all_macs
            done += network.scale
            metrics[name], by_class[name] = self._test(context, name, model, weights, part)
        if is_main_process():
            written = {name: replace(small, weights=self._deliver(context.work_dir, name))
                       for name, small in written.items()}
            shutil.rmtree(context.work_dir / self.name / UNCHECKED)
            write_json(context.work_dir / self.name / 'test_metrics.json', metrics)
            save_networks(context.work_dir, self.name, written)
            students = {name_of(name, self.delivered): name for name in delivered}
            write_examples(context, self.shown | students)
            write_scenes(context, self.shown | students)
            self._write_classes(context, {name: by_class[key] for name, key in {
                'teacher': 'teacher', **students}.items()})
            write_term_pictures(context)
        barrier()

    def _write(self, context: Context, reference: str, network: Network) -> Network:
        """Write the forms of a network where nobody looks for them; returns the small network that stands alone."""
        folder = context.work_dir / self.name / UNCHECKED / reference
        config, small = stand_alone(with_class_names(context.cfg, context.class_names), network)
        check_finite(small, f'the network {reference!r}')
        if is_main_process():
            folder.mkdir(parents=True, exist_ok=True)
            metadata = describe(config, network, context.input_shape)
            meta = context.task.meta(context.dataset('test'))
            save_student(small, folder / 'student.pth', with_dataset_meta(meta, context.class_names))
            save_model(small, config, folder / 'student.safetensors', metadata)
            config.dump(folder / 'config.py')
            shutil.copyfile(PREDICT, folder / PREDICT.name)
            export_onnx(small, folder / 'model.onnx', metadata, input_shape=context.input_shape)
        barrier()
        return Network(config.model.to_dict(), str(folder / 'student.pth'), network.scale, None, network.cost)

    def _deliver(self, work_dir: Path, reference: str) -> str:
        """Put the files of a network in their places; returns that of its weights."""
        folder = self.folder(work_dir, reference)
        folder.mkdir(parents=True, exist_ok=True)
        for name in EXPORTED:
            (work_dir / self.name / UNCHECKED / reference / name).replace(folder / name)
        return str(folder / 'student.pth')

    def _test(self, context: Context, name: str, model: dict, weights: str | None,
              part: tuple[float, float]) -> tuple[dict[str, float], list[float | None]]:
        """Metrics of a network on the test split, and a value a class where the task has one.

        ``part`` is where in the stage this lies, for the progress.
        """
        cfg = context.cfg
        runner = build_stage_runner(
            cfg, f'{self.name}_{name}', context.work_dir / self.name, model=model, custom_hooks=[],
            test_dataloader=cfg.test_dataloader, test_evaluator=cfg.test_evaluator, test_cfg=cfg.test_cfg,
            randomness=dict(seed=self.seed))
        if weights is not None:  # else its constructor has loaded them
            load_weights(runner.model.module if hasattr(runner.model, 'module') else runner.model, weights)
        runner.register_hook(EvaluationProgressHook(self.name, context.progress, test=part))
        with class_values(runner.test_evaluator, context.task) as by_class:
            return {key: _plain_number(value) for key, value in runner.test().items()}, by_class

    def _write_classes(self, context: Context, found: dict[str, list[float | None]]) -> None:
        if all(found.values()):
            names = context.class_names or [str(i) for i in range(len(found['teacher']))]
            ClassValues(context.task.class_measure, names, found).save(context.work_dir / self.name / 'classes.json')


def _plain_number(value: Any) -> Any:
    """NumPy's numbers as Python's, with the digits that they show: float32 of 43.12 is 43.12."""
    return float(str(value)) if isinstance(value, np.floating) else value


def stand_alone(cfg: Config, network: Network) -> tuple[Config, nn.Module]:
    """Config and module of a network without what it does not keep; one of another architecture is as it is."""
    whole = build_network(network)
    if network.kept is None:
        return config_of(cfg, network.architecture), whole
    return student_config(cfg, whole, network), cut_network(whole, network)
