"""The algorithm: a frozen teacher and one shared network that runs as any candidate.

Shapes: N samples, K classes, L tokens, C embedding width.
"""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModel, is_model_wrapper
from torch import Tensor

from mmamd.backbones.recalibration import (
    load_statistics,
    recalibrate,
    restore_statistics,
    save_statistics,
    statistics,
)
from mmamd.distillation.connectors import check_connect, make_connectors, outputs_of
from mmamd.distillation.losses import check_loss_weights, leading_channels
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, scale_key
from mmamd.weights.checkpoint import load_weights


@MODELS.register_module()
class AMDDistiller(BaseModel):
    """Distil a teacher into candidates that share their weights: L = ce L_ce + logit L_logit + feat L_feat + dkd L_dkd.

    In a joint step these run, in order: :meth:`JointTrainLoop.step`, :meth:`teach`, and for each candidate
    :meth:`activate` and :meth:`loss`, which calls the network's own loss, :func:`logit_loss`, :func:`feature_loss`
    and :func:`dkd_loss` as their weights ask.

    Teacher and shared network are two copies of one architecture; both can run as a candidate, so a teacher assistant
    is a teacher that runs as one. The teacher is no sub-module: it stays in eval mode, has no gradients and is in no
    checkpoint, no optimizer and no DistributedDataParallel bucket.

    With ``student_architecture`` a network of another architecture is trained in place of the shared one. It inherits
    no weights, and its hidden states meet the teacher's through connectors, which are trained with it.

    Args:
        architecture: Config of the network: the host's classifier or segmentor over an elastic backbone.
        teacher: Weights of the teacher: a path, a URL, a key of MMPretrain's zoo, ``timm:NAME`` or
            ``timm:NAME@FILE`` (:mod:`mmamd.weights.sources`). None leaves it untrained, which only a pipeline
            that trains its teacher first may do.
        losses: Weights ``ce``, ``logit``, ``feat`` (default 1) and ``dkd`` (default 0), a weight of 0 being a term
            that is not computed; ``temperature`` of the logit loss; ``feat_layers`` and ``feat_normalize``; ``zeta``,
            ``eta`` and ``dkd_temperature``.
        init: Checkpoint that the shared network starts from; the teacher's by default.
        family: File of the candidate family; without it the only candidate is the whole network.
        train_scales: Scales of the candidates that are trained; all of the family by default.
        teacher_scale: Scale of the candidate that the teacher runs as; None for all its units.
        teacher_statistics: File of batch norm statistics by candidate (:meth:`save_statistics`); the teacher runs with
            those of its scale.
        student_architecture: Config of the student, where it is of another architecture than the teacher.
        connect: For such a student, pairs of modules whose outputs the feature loss compares: its own name, then the
            teacher's, e.g. ``('backbone.stages.0', 'backbone.layer1')``. It takes the place of ``feat_layers``.
        logits_from: Name of the network's module whose output is the logits.
        data_preprocessor: Preprocessor of the batches, with mixup and cutmix where configured.
    """

    def __init__(self, *, architecture: dict, teacher: str | None, losses: dict | None = None, init: str | None = None,
                 family: str | None = None, train_scales: list[float] | None = None,
                 teacher_scale: float | None = None, teacher_statistics: str | None = None,
                 student_architecture: dict | None = None, connect: Sequence[tuple[str, str]] | None = None,
                 logits_from: str = 'head', data_preprocessor: dict | None = None) -> None:
        teacher_network = _build(architecture, data_preprocessor)
        network = _build(student_architecture or architecture, data_preprocessor)
        super().__init__(data_preprocessor=network.data_preprocessor)
        self.network = network
        self.is_external = student_architecture is not None
        if teacher is not None:
            load_weights(teacher_network, teacher)
        if (init or teacher) is not None and not self.is_external:
            load_weights(network, init or teacher)
        # Past nn.Module.__setattr__ on purpose: the teacher must not be a sub-module.
        self.__dict__['teacher'] = teacher_network.eval().requires_grad_(False)

        if family is None and (train_scales is not None or teacher_scale is not None):
            raise ValueError(f'train_scales={train_scales} and teacher_scale={teacher_scale} name candidates of a '
                             'family; give family=, the family.json of the nest stage')
        self.family = None if family is None else CandidateFamily.load(family)
        self.candidates = self._trained_candidates(train_scales)
        self.teacher_scale = 1.0 if teacher_scale is None else teacher_scale
        if teacher_scale is not None:
            assistant = self.family.at(teacher_scale)
            self.teacher.backbone.activate(assistant.kept)
            if teacher_statistics is not None:
                restore_statistics(self.teacher, load_statistics(teacher_statistics)[assistant.key])
        self._statistics: dict[str, dict[str, Tensor]] = {}

        self._build_losses(**(losses or {}))
        if self.is_external:
            self._capture_states_by_name(connect)
        elif connect:
            raise ValueError(f'model.connect={connect} joins a student of another architecture to its teacher, but '
                             'there is no model.student_architecture; give it, or set model.connect=None: candidates '
                             'are compared at losses.feat_layers')
        else:
            self._capture_hidden_states()
        self._logits = _Captured([network.get_submodule(logits_from)])
        self.activate(None)

    def _capture_hidden_states(self) -> None:
        own, teachers = (net.backbone.hidden_state_modules for net in (self.network, self.teacher))
        layers = self.feat_loss.layers_of(len(own) - 1) if self.weights['feat'] else []
        self._states = _Captured([own[i] for i in layers])
        self._teacher_states = _Captured([teachers[i] for i in layers])
        self.connectors = None

    def _capture_states_by_name(self, connect: Sequence[tuple[str, str]] | None) -> None:
        names = check_connect(connect, self.network, self.teacher) if self.weights['feat'] else []
        own, teachers = [name for name, _ in names], [name for _, name in names]
        image = torch.zeros(1, *self.teacher.backbone.input_shape)
        self.connectors = make_connectors(names, outputs_of(self.network, own, image),
                                          outputs_of(self.teacher, teachers, image))
        self._states = _Captured([self.network.get_submodule(name) for name in own])
        self._teacher_states = _Captured([self.teacher.get_submodule(name) for name in teachers])

    def _trained_candidates(self, scales: list[float] | None) -> list[Candidate | None]:
        if self.family is None:
            return [None]
        return self.family.candidates if scales is None else [self.family.at(s) for s in scales]

    def _build_losses(self, *, ce: float = 1., logit: float = 1., feat: float = 1., dkd: float = 0.,
                      temperature: float = 1., feat_layers: str | list[int] = 'auto', feat_normalize: bool = False,
                      zeta: float = 1., eta: float = 8., dkd_temperature: float = 4.) -> None:
        check_loss_weights(ce=ce, logit=logit, feat=feat, dkd=dkd)
        self.weights = dict(ce=ce, logit=logit, feat=feat, dkd=dkd)
        self.logit_loss = MODELS.build(dict(type='mmamd.LogitLoss', temperature=temperature))
        self.feat_loss = MODELS.build(dict(type='mmamd.FeatureLoss', layers=feat_layers, normalize=feat_normalize))
        self.dkd_loss = MODELS.build(dict(type='mmamd.DKDLoss', zeta=zeta, eta=eta, temperature=dkd_temperature))

    # --- what a joint step calls ---

    @torch.no_grad()
    def teach(self, inputs: Tensor) -> dict[str, Any]:
        """The teacher's logits (N, K) and hidden states for a preprocessed batch; empty when no loss asks for them."""
        if not (self.weights['logit'] or self.weights['feat'] or self.weights['dkd']):
            return {}
        return dict(logits=self.teacher(inputs, mode='tensor'), states=self._teacher_states.take())

    def activate(self, candidate: Candidate | None) -> None:
        """Run as a candidate from now on; None is the whole network, which a student of another architecture is."""
        self.active = candidate
        if self.is_external:
            return
        self.network.backbone.activate(None if candidate is None else candidate.kept)
        if _key(candidate) in self._statistics:
            restore_statistics(self.network, self._statistics[_key(candidate)])

    def recalibrate(self, candidate: Candidate | None, batches: Iterable[Tensor]) -> int:
        """Find the batch norm statistics of a candidate, with which it runs whenever it is active from then on.

        Returns what :func:`~mmamd.backbones.recalibration.recalibrate` returns, and raises what it raises.
        """
        self.activate(candidate)
        num_images = recalibrate(self.network, batches)
        if num_images:
            self._statistics[_key(candidate)] = statistics(self.network)
        return num_images

    def save_statistics(self, path: str | Path) -> None:
        """Write the statistics of the candidates that have been recalibrated, by their keys."""
        save_statistics(self._statistics, path)

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor',
                targets: dict[str, Any] | None = None) -> Any:
        """``mode='loss'`` needs ``targets`` from :meth:`teach`; other modes are the active candidate's own."""
        if mode != 'loss':
            return self.network(inputs, data_samples, mode=mode)
        if targets is None:
            raise ValueError("AMDDistiller needs the teacher's targets for a loss; train it with mmamd.JointTrainLoop, "
                             'as mmamd.MultiStepRunner does')
        return self.loss(inputs, data_samples, targets)

    def loss(self, inputs: Tensor, data_samples: list, targets: dict[str, Any]) -> dict[str, Tensor]:
        """Losses of the active candidate, each scalar, named ``'<scale>.loss_<term>'``."""
        losses = {}
        if self.weights['ce']:
            for name, value in self.network(inputs, data_samples, mode='loss').items():
                is_loss = 'loss' in name
                losses['loss_ce' if name == 'loss' else name] = value * self.weights['ce'] if is_loss else value
            logits, = self._logits.take()
        else:
            logits = self.network(inputs, mode='tensor')
            self._logits.take()
        states = self._states.take()
        if self.weights['logit']:
            losses['loss_logit'] = self.weights['logit'] * self.logit_loss(logits, targets['logits'], data_samples)
        if self.weights['feat']:
            losses['loss_feat'] = self.weights['feat'] * self.feat_loss(*self._comparable(states, targets['states']))
            # The head has no part in hidden states; DistributedDataParallel waits for every gradient, so it gets a 0.
            losses['loss_feat'] = losses['loss_feat'] + 0. * logits.float().mean()
        if self.weights['dkd']:
            losses['loss_dkd'] = self.weights['dkd'] * self.dkd_loss(logits, targets['logits'], data_samples)
        return {f'{_key(self.active)}.{name}': value for name, value in losses.items()}

    def _comparable(self, states: list[Tensor], teachers: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """States of equal shapes."""
        if self.is_external:
            return [connect(state) for connect, state in zip(self.connectors, states, strict=True)], teachers
        return states, leading_channels(teachers, states)

    # --- what the host calls ---

    def init_weights(self) -> None:
        """Keep the weights that were loaded; Runner.train() would otherwise draw them anew.

        A student of another architecture is drawn as its config says.
        """
        if self.is_external:
            self.network.init_weights()

    def _apply(self, fn, recurse: bool = True) -> 'AMDDistiller':
        # The teacher follows the distiller to another device or dtype although it is no sub-module.
        self.teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)


def distiller_of(model: nn.Module) -> AMDDistiller:
    """The distiller that a runner's model is, or wraps for several processes."""
    return model.module if is_model_wrapper(model) else model


def _build(architecture: dict, data_preprocessor: dict | None) -> nn.Module:
    # The host writes defaults into the dicts it builds from; a shared one would carry them to the next network.
    architecture = copy.deepcopy(architecture)
    if data_preprocessor is not None:
        architecture.setdefault('data_preprocessor', copy.deepcopy(data_preprocessor))
    return MODELS.build(architecture)


def _key(candidate: Candidate | None) -> str:
    return scale_key(1.0) if candidate is None else candidate.key


class _Captured:
    """Outputs of some modules in their latest forward pass.

    Kept on the side rather than returned, so that the network's own ``loss`` and ``predict`` stay as the host wrote
    them; handed out once, so that no graph outlives its step.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        self._outputs: dict[int, Tensor] = {}
        self._num = len(modules)
        for i, module in enumerate(modules):
            module.register_forward_hook(lambda _module, _args, output, i=i: self._outputs.__setitem__(i, output))

    def take(self) -> list[Tensor]:
        """The outputs in the modules' order; forgets them."""
        outputs = [self._outputs[i] for i in range(self._num)]
        self._outputs.clear()
        return outputs
