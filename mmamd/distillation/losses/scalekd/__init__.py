"""ScaleKD (Fan et al., "ScaleKD: Strong Vision Transformers Could Be Excellent Teachers", NeurIPS 2024).

Its three parts, one on top of the other: the cross attention projector, dual-view feature mimicking, teacher parameter
perception; and the term that is made of them.
"""

from mmamd.distillation.losses.scalekd.term import ScaleKDLoss

__all__ = ['ScaleKDLoss']
