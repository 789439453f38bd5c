"""Terms that learn and remember, for tests of the contract; registered where they are imported."""

import torch
import torch.nn as nn
from mmengine.dist import all_gather

from mmamd.distillation.losses import Loss
from mmamd.registry import MODELS


@MODELS.register_module(force=True)
class ToyConnectorLoss(Loss):
    """The last block's states through a linear map of its own, towards the teacher's; remembers their mean."""

    def watches(self, student, teacher):
        return [('backbone.layers.1', 'backbone.layers.1')]

    def build(self, student, teachers, num_images):
        width = student.states['backbone.layers.1'].shape[-1]
        self.connect = nn.Linear(width, width)
        self.register_buffer('mean', torch.zeros(width))

    def compare(self, student, teacher, index):
        own, others = student.states['backbone.layers.1'], teacher.states['backbone.layers.1']
        return {'loss': (self.connect(own) - others).square().mean(), 'remembered': self.mean.mean()}

    def after_step(self, student, teachers):
        self.mean += torch.cat(all_gather(student.states['backbone.layers.1'].mean((0, 1))[None])).mean(0)


@MODELS.register_module(force=True)
class ToyChoosyLoss(ToyConnectorLoss):
    """Uses its map for the widest candidate alone, as a term must not."""

    def compare(self, student, teacher, index):
        if student.network.backbone.layers[1].ffn.active < 5:
            return (student.states['backbone.layers.1'] - teacher.states['backbone.layers.1']).square().mean()
        return super().compare(student, teacher, index)


@MODELS.register_module(force=True)
class ToyAloneLoss(ToyConnectorLoss):
    """May not train several candidates."""

    joint = False
