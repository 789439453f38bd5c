"""Students that are trained for a short while, one a distiller, each from the same start (KD-Zero, section 3.2).

Legend: N images, C classes, D elements of an embedding.
"""

import copy
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmamd.distillation.distiller import AMDDistiller, distiller_of
from mmamd.distillation.genome import Genome
from mmamd.distillation.joint_loop import macs_of_step
from mmamd.distillation.vectors import pooled
from mmamd.passes import frozen_eval, one_tensor, watch
from mmamd.pipeline.chance import LEVEL, probability_of, share_by_chance
from mmamd.pipeline.config.settings import section_settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.divergence import TrainingDiverged
from mmamd.pipeline.seeding import seed_all
from mmamd.pipeline.stages.training import build_trainer, loader_settings
from mmamd.registry import MODELS
from mmamd.search.kd_zero.rejection import Knowledge, Rejected
from mmamd.seeds import derive_seed

if TYPE_CHECKING:
    from mmamd.search.kd_zero.stage import KDZero


class Proxies:
    """What the distillers of a search make of one student.

    Args:
        stage: The search, which is also the training of such a student.
        context: The run.
        tell: Called with the share of a student's training that is done, after each step.
    """

    def __init__(self, stage: 'KDZero', context: Context, tell: Callable[[float], None] = lambda share: None) -> None:
        self.stage, self.context, self.options, self.tell = stage, context, stage.options, tell
        self.seed = derive_seed(stage.seed, stage.name)
        self.settings = stage.model(context)
        # Nothing of a proxy is kept: no checkpoint, no log, no picture.
        self.runtime = {**section_settings(context.cfg, stage.section), 'visualizer': None,
                        'default_hooks': dict(checkpoint=None, logger=None)}
        self.loader = Runner.build_dataloader(loader_settings(stage.loader), seed=self.seed)
        teacher = self._distiller(self.options.expected()).teacher
        self.teacher_NC, _, self.teacher_ND = self._seen(teacher, self.options.embedding[1], 'teacher')
        context.spend(stage.name, 0., stage.held_out.num * context.teacher_cost.macs)

    def knowledge(self, genomes: Mapping[str, Genome]) -> Knowledge:
        """What student and teacher make of the first batch, aligned, in eval mode.

        Args:
            genomes: By what is compared, a distiller that does no more than that.
        """
        seed_all(self.seed)
        batch, seen = next(iter(self.loader)), {}
        for what, genome in genomes.items():
            distiller = self._distiller(self.options.term_of(genome)).eval()
            data = self.context.task.preprocess(distiller.network, copy.deepcopy(batch), training=False)
            with torch.no_grad():
                teacher, = distiller.teach(**data_of(data))[:1]
                student = distiller.run(**data_of(data))
                seen[what] = distiller.terms[self.options.term].knowledge(student, teacher, 0)
            logits = student.logits, teacher.logits
        own, others = ({'logits': logits[i]} | {what: both[i].float() for what, both in seen.items()} for i in (0, 1))
        target_N = self.context.task.hard_targets(data['data_samples']).to(logits[0].device)
        return Knowledge(own, others, target_N)

    def evaluate(self, genome: Genome) -> dict[str, float]:
        """Train a student by a distiller and judge it: its fitness, and the parts of it.

        Every student starts from the same weights and random numbers, so that this depends on the genome alone.

        Raises:
            Rejected: The training diverges, or its student is no better than chance.
        """
        begin, proxy = time.monotonic(), ProxyHook(self)
        with TemporaryDirectory() as folder:
            model = {**self.settings, 'losses': self.settings['losses'] | self.options.term_of(genome.canonical())}
            runner = build_trainer(self.stage, Path(folder) / self.stage.name, model, self.runtime, [proxy],
                                   dict(type='mmamd.JointTrainLoop'))
            runner._train_dataloader = self.loader  # read from the disk once
            try:
                runner.train()
                return self.judge(distiller_of(runner.model))
            except TrainingDiverged as error:
                raise Rejected('training diverged') from error
            finally:
                _close_files(runner.logger)
                self.context.spend(self.stage.name, time.monotonic() - begin, proxy.macs)

    def judge(self, distiller: AMDDistiller) -> dict[str, float]:
        """Fitness of a student; raises Rejected if it is no better than chance where that is asked."""
        distiller.activate(distiller.candidates[0])
        student_NC, target_N, student_ND = self._seen(distiller.network, self.options.embedding[0], 'student')
        if self.options.proxy_epochs != 0 and self.options.give_up_after is not None:
            said_N, num_classes = student_NC.argmax(1), student_NC.shape[1]
            share = share_by_chance(*(torch.bincount(each, minlength=num_classes).double()
                                      for each in (said_N, target_N)))
            if probability_of(int((said_N == target_N).sum()), len(said_N), share) > LEVEL:
                raise Rejected('no better than chance')
        return self.options.fitness(student_NC, self.teacher_NC, target_N, student_ND, self.teacher_ND)

    def _distiller(self, term: dict) -> AMDDistiller:
        torch.manual_seed(self.seed)
        distiller = MODELS.build({**copy.deepcopy(self.settings), 'losses': self.settings['losses'] | term})
        distiller.init_weights()
        distiller.activate(distiller.candidates[0])
        return distiller.to(get_device())

    @torch.no_grad()
    def _seen(self, network: nn.Module, name: str, whose: str) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, classes and embeddings of the held-out images."""
        found = []
        with frozen_eval(network), watch(network, [name]) as seen:
            for _, data in self.stage.held_out.batches(self.context, network, self.seed):
                logits = network(data['inputs'], mode='tensor')
                target_N = self.context.task.hard_targets(data['data_samples']).to(logits.device)
                found.append((logits, target_N, pooled(one_tensor(seen, name, whose), data['inputs'])))
        return tuple(map(torch.cat, zip(*found, strict=True)))


class ProxyHook(Hook):
    """Count what a proxy takes, and give it up where it has learnt nothing.

    Attributes:
        macs: What it has taken.
    """

    def __init__(self, proxies: Proxies) -> None:
        self.proxies, self.macs = proxies, 0.

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        self.macs += macs_of_step(runner) * len(data_batch['inputs'])
        done = runner.iter + 1
        self.proxies.tell(done / runner.max_iters)
        if done == self.proxies.options.step_of_judgement(runner.max_iters):
            self._count_judgement(runner)
            self.proxies.judge(distiller_of(runner.model))

    def after_train(self, runner: Runner) -> None:
        self._count_judgement(runner)

    def _count_judgement(self, runner: Runner) -> None:
        self.macs += self.proxies.stage.held_out.num * distiller_of(runner.model).candidates[0].cost.macs


def _close_files(logger: logging.Logger) -> None:
    """Let a logger that outlives its folder write to no file of it."""
    for handler in [each for each in logger.handlers if isinstance(each, logging.FileHandler)]:
        logger.removeHandler(handler)
        handler.close()


def data_of(data: dict) -> dict:
    """A preprocessed batch as the distiller takes it."""
    return dict(inputs=data['inputs'], samples=data['data_samples'])
