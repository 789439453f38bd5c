"""The exact cost of the network that a config describes, counted by the method's own counter."""

import copy
import math
from collections.abc import Sequence

import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.twins import twin_of, twins, with_elastic_backbone
from mmamd.pipeline.config.compression import Compression
from mmamd.pruning.complexity import cost_by_part
from mmamd.registry import MODELS
from mmamd.structures import Cost
from mmamd.tasks import task_of

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
    _countable(model.backbone.type)
    model = with_elastic_backbone(model)
    if shape is not None:
        model.backbone.img_size = tuple(shape)
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return MODELS.build(model)


def _countable(backbone: str) -> None:
    """Raise ValueError unless there is an elastic backbone of its arguments, parameters and products."""
    with MODELS.switch_scope_and_registry(None) as registry:
        found = registry.get(backbone)
    is_elastic = isinstance(found, type) and issubclass(found, ElasticBackbone)
    if not is_elastic and twin_of(backbone) is None:
        raise ValueError(f'the products of the backbone {backbone} cannot be counted exactly; expected one of '
                         f"{sorted(host.__name__ for host in twins())}, or mmamd's own {sorted(twins().values())}")


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
        beside = parts['rest'] if task_of(network).scales_backbone else Cost(0, 0)
        lines += ['', *(f'student: {_budget(compression, scale, total, beside)}' for scale in compression.students)]
    return '\n'.join([*lines, '', CONVENTION])


def _budget(compression: Compression, scale: float, total: Cost, beside: Cost) -> str:
    """What a student may cost; ``beside`` is what scales do not speak of."""
    share = f'compression.student_scale={scale}, scale_by={compression.scale_by!r}'
    if compression.scale_by == 'units':
        return f'at most {scale:.2%} of the units of each kind ({share})'
    name, whole, rest = (('MACs', total.macs, beside.macs) if compression.scale_by == 'flops' else
                         ('parameters', total.params, beside.params))
    return f'at most {math.floor(scale * (whole - rest)) + rest:,} {name} ({share})'
