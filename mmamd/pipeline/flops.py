"""The exact cost of the network that a config describes, counted by the method's own counter."""

import copy
import math
from collections.abc import Sequence

import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

import mmamd.backbones
from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.pipeline.config.compression import Compression
from mmamd.pruning.complexity import cost_by_part
from mmamd.registry import MODELS
from mmamd.structures import Cost

CONVENTION = """\
A MAC is one multiply-accumulate (two floating-point operations) of a matrix product or a convolution, the two products
of attention included. Norms, activations, softmax, pooling and additions (biases, residuals) are not counted.
Parameters are all parameters, each once. The fixed part is what no pruning removes from the backbone: in a vision
transformer the patch embedding, class token, positions, output biases of the branches, and last norm."""


def countable_network(cfg: Config, shape: Sequence[int] | None = None) -> nn.Module:
    """The network of a config over a backbone that knows its own cost; a plain backbone is replaced by its elastic one.

    Args:
        cfg: A config of :class:`AMDDistiller`, whose architecture is taken, or of a plain network, such as a teacher's
            or ``student/config.py``.
        shape: (height, width) of the images, instead of the config's.

    Raises:
        ValueError: The config has no network with a backbone, or one that cannot be counted.
    """
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    model = copy.deepcopy(cfg.get('model') or ConfigDict())
    if 'architecture' in model:
        model = model.architecture
    if 'backbone' not in model:
        raise ValueError("there is no network to count in the config: expected model=dict(backbone=...), or a model of "
                         f"type 'mmamd.AMDDistiller' with an architecture; got a model of type {model.get('type')!r}")
    model.backbone.type = _elastic(model.backbone.type)
    if shape is not None:
        model.backbone.img_size = tuple(shape)
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return MODELS.build(model)


def _elastic(name: str) -> str:
    """The elastic counterpart of a backbone, which has the same arguments, parameters and products."""
    with MODELS.switch_scope_and_registry(None) as registry:
        backbone = registry.get(name)
    ours = [cls for cls in vars(mmamd.backbones).values()
            if isinstance(cls, type) and issubclass(cls, ElasticBackbone)]
    counterparts = {host: f'mmamd.{cls.__name__}' for cls in ours for host in cls.__bases__
                    if not issubclass(host, ElasticBackbone)}
    if backbone in ours:
        return name
    if backbone not in counterparts:
        raise ValueError(f'the products of the backbone {name} cannot be counted exactly; expected one of '
                         f"{sorted(host.__name__ for host in counterparts)}, or mmamd's own "
                         f'{sorted(cls.__name__ for cls in ours)}')
    return counterparts[backbone]


def format_flops(cfg: Config, shape: Sequence[int] | None = None) -> str:
    """MACs of one image and parameters, by part; for a config of the pipeline also the student's budget."""
    network = countable_network(cfg, shape)
    parts = cost_by_part(network)
    total = sum(parts.values(), Cost(0, 0))
    channels, height, width = network.backbone.input_shape
    lines = [f'{type(network).__name__} over {type(network.backbone).__name__}, one image of {channels} x {height} x '
             f'{width}', '', f'{"part":<13}{"MACs":>18}{"parameters":>15}']
    lines += [f'{name:<13}{cost.macs:>18,}{cost.params:>15,}' for name, cost in {**parts, 'total': total}.items()]
    if 'compression' in cfg:
        compression = Compression.from_cfg(cfg)
        lines += ['', *(f'student: {_budget(compression, scale, total)}' for scale in compression.students)]
    return '\n'.join([*lines, '', CONVENTION])


def _budget(compression: Compression, scale: float, total: Cost) -> str:
    share = f'compression.student_scale={scale}, scale_by={compression.scale_by!r}'
    if compression.scale_by == 'units':
        return f'at most {scale:.2%} of the units of each kind ({share})'
    name, whole = ('MACs', total.macs) if compression.scale_by == 'flops' else ('parameters', total.params)
    return f'at most {math.floor(scale * whole):,} {name} ({share})'
