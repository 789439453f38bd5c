"""The network of a teacher, found out: its architecture, the preprocessing of its images, the names of its classes."""

import argparse
import copy
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.timm_vit import architecture_of, build_empty, normalisation_of
from mmamd.backbones.twins import twins, with_elastic_backbone
from mmamd.channel_order import sees_rgb
from mmamd.nearest import did_you_mean
from mmamd.registry import MODELS
from mmamd.weights.checkpoint import read_weights
from mmamd.weights.origin import Origin, origin_of_config, pipeline_size, read_origin
from mmamd.weights.sources import NAMELESS, check_source, local_file, split_timm

# --arch: name -> the host's backbone.
KNOWN = {
    **{f'vit-{size}': dict(type='VisionTransformer', arch=name)
       for size, name in {'s': 'small', 'b': 'base', 'l': 'large'}.items()},
    **{f'deit-{size}': dict(type='VisionTransformer', arch=f'deit-{name}')
       for size, name in {'t': 'tiny', 's': 'small', 'b': 'base'}.items()},
    **{f'swin-{size}': dict(type='SwinTransformer', arch=name)
       for size, name in {'t': 'tiny', 's': 'small', 'b': 'base', 'l': 'large'}.items()},
    **{f'resnet{depth}': dict(type='ResNet', depth=depth) for depth in (18, 34, 50, 101, 152)}}
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
# Of a network's config, what belongs to its own training.
OF_TRAINING = ('train_cfg', 'init_cfg', 'data_preprocessor', 'pretrained', '_scope_')

OF_REPORTING = ('cal_acc', 'topk')  # of a head: what the host logs while it trains


@dataclass(frozen=True)
class Described:
    """A teacher as it was found out.

    Attributes:
        architecture: Config of the network, over an elastic backbone.
        preprocessor: ``mean``, ``std`` and ``to_rgb`` of its images.
        size: (height, width) of its images.
        units: Kinds of units that its backbone has to remove, in network order.
        classes: Names of its classes in the order of its logits; None where nobody says.
        train_pipeline, test_pipeline: Transforms of its images, where they are known.
        found: What is told of -> where that is from.
    """

    architecture: dict
    preprocessor: dict
    size: tuple[int, int]
    units: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    train_pipeline: list | None = None
    test_pipeline: list | None = None
    found: dict[str, str] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        return self.architecture['head']['num_classes']

    @property
    def has_filters(self) -> bool:
        return 'filter' in self.units


def describe(args: argparse.Namespace) -> Described:
    """What the arguments ``source``, ``config`` and ``arch`` and the checkpoint itself say of a teacher.

    Raises:
        ValueError, FileNotFoundError: If that is not enough; it says what to give.
    """
    init_default_scope('mmpretrain')
    check_source(args.source)
    origin, place = read_origin(args.source), 'its checkpoint'
    if args.config is not None:
        said, place = origin_of_config(Config.fromfile(args.config).to_dict()), args.config
        if said.architecture is None:
            raise ValueError(f'--config {args.config} describes no network: expected model=dict(type=..., '
                             'backbone=dict(...), head=dict(...)), as the config that trained the teacher has it')
        origin = _over(said, origin)
    elif args.arch is not None:
        origin, place = _over(Origin(_architecture_named(args.arch, read_weights(args.source))), origin), '--arch'
    elif split_timm(args.source):
        origin, place = _origin_of_timm(args.source), 'its name in timm'
    elif origin.architecture is None and local_file(args.source) is None and '://' not in args.source:
        from mmpretrain.apis import ModelHub
        origin, place = _over(origin_of_config(ModelHub.get(args.source).config.to_dict()), origin), 'the model zoo'
    if origin.architecture is None:
        raise ValueError(f'{args.source} does not say what network it is of; give --config FILE, the config that '
                         f'trained it, or --arch, one of {", ".join(KNOWN)}')
    return _described(origin, place)


def _over(one: Origin, other: Origin) -> Origin:
    """An origin, and where it is silent another one."""
    return Origin(*(getattr(one, name) or getattr(other, name) for name in Origin.__dataclass_fields__))


def _described(origin: Origin, place: str) -> Described:
    architecture = {key: value for key, value in with_elastic_backbone(_tidy(origin.architecture)).items()
                    if key not in OF_TRAINING}
    kind = architecture['backbone'].get('type')
    elastic = MODELS.get(kind) if isinstance(kind, str) else None
    if not (isinstance(elastic, type) and issubclass(elastic, ElasticBackbone)):
        raise ValueError(f'the backbone {kind!r} cannot be pruned; expected one of '
                         f'{sorted(host.__name__ for host in twins())}, or the elastic ones {sorted(twins().values())}')
    if not isinstance((architecture.get('head') or {}).get('num_classes'), int):
        raise ValueError(f'the network over {kind} has no head of so many classes, got '
                         f'head={architecture.get("head")!r}; expected head=dict(type=..., num_classes=...)')
    for key in OF_REPORTING:
        architecture['head'].pop(key, None)
    found = {'architecture': place, 'image size': place}
    backbone, size = MODELS.build(copy.deepcopy(architecture['backbone'])), origin.image_size
    if size is None:
        size, found['image size'] = tuple(backbone.input_shape[1:]), "the backbone's default"
    if 'MaskedResNet' in kind or kind.startswith('mmamd.Masked') and 'img_size' not in architecture['backbone']:
        architecture['backbone']['img_size'] = size[0] if size[0] == size[1] else size
    preprocessor = {key: value for key, value in (origin.preprocessor or {}).items() if key in IMAGENET}
    found['mean and std'] = place if preprocessor.get('mean') else "assumption, ImageNet's: nobody says otherwise"
    if preprocessor.get('mean'):  # of images that here are read from files
        preprocessor['to_rgb'] = sees_rgb(preprocessor, origin.train_pipeline or origin.test_pipeline)
    else:
        preprocessor = IMAGENET
    fits = pipeline_size(origin.test_pipeline) in (None, size)
    units = tuple(dict.fromkeys(group.kind for group in backbone.unit_groups()))
    return Described(architecture, {'to_rgb': preprocessor['to_rgb'], **preprocessor}, size, units, origin.classes,
                     origin.train_pipeline if fits else None, origin.test_pipeline if fits else None, found)


def _tidy(value: Any) -> Any:
    """A config without the places of weights that it was initialised from, types first."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda key: key != 'type')
        return {key: _tidy(value[key]) for key in names if key != 'init_cfg'}
    return type(value)(map(_tidy, value)) if isinstance(value, (list, tuple)) else value


# --- architectures that no config says ---

def _architecture_named(name: str, state: dict[str, Tensor]) -> dict:
    """Architecture of a name of :data:`KNOWN`, with what the shapes of its weights tell."""
    if name not in KNOWN:
        raise ValueError(f'unknown --arch {name!r}{did_you_mean(name, KNOWN)} Expected one of {", ".join(KNOWN)}; or '
                         'give the config that trained the network, --config FILE')
    backbone = dict(KNOWN[name])
    head = next(((kind, state[key]) for key, kind in {
        'head.layers.head.weight': 'VisionTransformerClsHead', 'head.fc.weight': 'LinearClsHead'}.items()
        if key in state), None)
    if head is None:
        raise ValueError(f'the checkpoint has no weights of a classifier of MMPretrain (head.fc.weight, or '
                         f'head.layers.head.weight), got {list(state)[-3:]} among others; a timm model is '
                         'timm:NAME@FILE')
    kind, (num_classes, width) = head[0], head[1].shape
    if backbone['type'] == 'VisionTransformer':
        side = _image_side(state, 'backbone.cls_token' in state)
        backbone |= dict(img_size=side, patch_size=_patch_side(state))
        if 'backbone.ln2.weight' in state:
            backbone['out_type'] = 'avg_featmap'
    elif backbone['type'] == 'SwinTransformer':
        backbone['img_size'] = 224
    elif _needed(state, 'backbone.conv1.weight').shape[-1] == 3:
        backbone['type'] = 'ResNet_CIFAR'
    pooled = {} if backbone['type'] == 'VisionTransformer' else dict(neck=dict(type='GlobalAveragePooling'))
    return dict(type='ImageClassifier', backbone=backbone, **pooled,
                head=dict(type=kind, num_classes=num_classes, in_channels=width))


def _origin_of_timm(source: str) -> Origin:
    name, file = split_timm(source)
    if name == NAMELESS:
        raise ValueError(f'{source} has sizes of its own, which its name does not tell; give --config FILE with '
                         'model=dict(type=..., backbone=dict(...), head=dict(...))')
    sizes = {}
    if file is not None:
        state, model = read_weights(source), build_empty(name)
        sizes = dict(num_classes=len(_needed(state, 'head.layers.head.weight')), img_size=_image_side(
            state, model.cls_token is not None and not model.no_embed_class))
    mean, std = normalisation_of(name)
    return Origin(architecture_of(name, **sizes), dict(mean=mean, std=std, to_rgb=True))


def _patch_side(state: dict[str, Tensor]) -> int:
    return _needed(state, 'backbone.patch_embed.projection.weight').shape[-1]


def _image_side(state: dict[str, Tensor], has_class_token: bool) -> int:
    """Height and width of square images, by their positions, of which the first may be a class token's."""
    num = _needed(state, 'backbone.pos_embed').shape[1] - has_class_token
    if isqrt(num) ** 2 != num:
        raise ValueError(f'its weights have positions of {num} patches, which are no square, so the size of its images '
                         'is not known; give --config FILE, the config that trained it')
    return isqrt(num) * _patch_side(state)


def _needed(state: dict[str, Tensor], key: str) -> Tensor:
    if key not in state:
        raise ValueError(f'the weights are of another network: expected {key!r} among them (as MMPretrain names it), '
                         f'got {list(state)[:2]}, ..., {list(state)[-2:]}; give --config FILE, the config that trained '
                         'it')
    return state[key]
