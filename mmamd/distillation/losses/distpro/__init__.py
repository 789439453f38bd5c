"""DistPro (Deng et al., "DistPro: Searching a Fast Knowledge Distillation Process via Meta Optimization", ECCV 2022).

What a process is made of, one on top of the other: pathways from levels of the student to levels of the teacher, the
transforms that they lead through, what turns alphas into weights, the process itself; and the term that replays one, or
whose alphas :mod:`mmamd.search.distpro` finds.
"""

from mmamd.distillation.losses.distpro.process import Process
from mmamd.distillation.losses.distpro.term import ProcessLoss

__all__ = ['Process', 'ProcessLoss']
