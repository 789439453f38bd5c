"""Compress large vision models by Automatic Multi-step Distillation (AMD, ECCV 2024), as a plugin of MMEngine.

The folders follow the method:

    structures.py   the plain data that stages exchange
    pruning/        importance of units, ranking, nested candidates, exact costs
    backbones/      networks that can run as any candidate
    distillation/   one joint step that trains many candidates of one shared network, and its losses
    selection/      performance of every candidate, and the choice of the teacher assistant
    pipeline/       the runner that carries a config through the stages
    export/         the physically small model in its forms: weights, ONNX, torch.export, plain MMPretrain, timm
    datasets/       held-out split, bundled digits
    visualization/  pictures
    compat.py       everything that works around the host, and nothing else
"""

from mmamd import compat
from mmamd.api import compress, export_model, load_student
from mmamd.version import __version__

compat.apply()

__all__ = ['__version__', 'compress', 'export_model', 'load_student']
