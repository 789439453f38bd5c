"""The search of DistPro (Deng et al., ECCV 2022): the weights of pathways are found while a student is trained by them.

The student's weights follow the loss of training images, the alphas of the pathways that of held-out images, a step
later. What the alphas were over time is the process, which :class:`mmamd.distillation.losses.distpro.ProcessLoss`
replays.
"""

from mmamd.search.distpro.alpha_update import AlphaUpdate
from mmamd.search.distpro.hyper_gradient import hyper_gradient
from mmamd.search.distpro.recorder import Recorder
from mmamd.search.distpro.search_loop import ProcessSearchLoop
from mmamd.search.distpro.unroll import next_weights

__all__ = ['AlphaUpdate', 'ProcessSearchLoop', 'Recorder', 'hyper_gradient', 'next_weights']
