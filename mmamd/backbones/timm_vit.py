"""timm's VisionTransformer in the terms of MMPretrain's: names of weights, architecture, normalisation of images.

The two compute the same function with the same tensors under other names, as long as the timm model is a ViT, DeiT,
DeiT III, DINOv2 or CLIP: a class token, learned position embeddings, perhaps none of the class token, perhaps
registers, which have none, pre-norm blocks, perhaps with layer scale, GELU or SwiGLU, a linear classifier on the class
token. What else timm's class can be has no counterpart and is refused by name. Tensors are never reshaped. Registers
are MaskedViT's, not MMPretrain's.

timm is imported inside the functions that need it; the two that rename weights do not.
"""

import re
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.backbones.elastic_swiglu import host_channels
from mmamd.nearest import did_you_mean, nearest

# MMPretrain's name, timm's name; {} is the number of a block. The tables are read in both directions: parameters,
# layers, and the layers of a SwiGLU. Where a name stands twice (head.fc is the layer of LinearClsHead), the first row
# is the one that is written.
_PARAMETERS = (
    ('backbone.cls_token', 'cls_token'),
    ('backbone.pos_embed', 'pos_embed'),
    ('backbone.drop_after_pos.tokens', 'reg_token'))
_NAMES = (
    ('backbone.patch_embed.projection', 'patch_embed.proj'),
    ('backbone.pre_norm', 'norm_pre'),
    ('backbone.layers.{}.ln1', 'blocks.{}.norm1'),
    ('backbone.layers.{}.attn.qkv', 'blocks.{}.attn.qkv'),
    ('backbone.layers.{}.attn.proj', 'blocks.{}.attn.proj'),
    ('backbone.layers.{}.attn.gamma1', 'blocks.{}.ls1'),
    ('backbone.layers.{}.ln2', 'blocks.{}.norm2'),
    ('backbone.layers.{}.ffn.layers.0.0', 'blocks.{}.mlp.fc1'),
    ('backbone.layers.{}.ffn.layers.1', 'blocks.{}.mlp.fc2'),
    ('backbone.layers.{}.ffn.gamma2', 'blocks.{}.ls2'),
    ('backbone.ln1', 'norm'),
    ('head.layers.head', 'head'),
    ('head.fc', 'head'))
_OF_SWIGLU = (
    ('backbone.layers.{}.ffn.w12', 'blocks.{}.mlp.fc1'),
    ('backbone.layers.{}.ffn.w3', 'blocks.{}.mlp.fc2'))

# What some names of timm's weights mean, for the errors.
_MEANINGS = {
    'dist_token': 'a distillation token', 'head_dist': 'a distillation head',
    'fc_norm': 'a norm after pooling', 'attn_pool': 'attention pooling',
    'q_norm': 'a norm of the queries', 'k_norm': 'a norm of the keys',
    'pre_logits': 'a hidden layer in the head'}

# The tensors of a layer, and their names in the other's; the one weight of a layer scale has a name of its own in each.
_LEAVES = {'weight': 'weight', 'bias': 'bias'}
_OF_SCALES = {layer: leaf for host, timm in _NAMES if '.ls' in timm
              for layer, leaf in ((host, {'weight': 'gamma'}), (timm, {'gamma': 'weight'}))}

_TO_HOST = {timm: host for host, timm in reversed(_PARAMETERS + _NAMES)}
_TO_TIMM = dict(_PARAMETERS + _NAMES + _OF_SWIGLU)

# Some of timm's models that fit, to be offered in place of one that does not.
FITTING = (
    'vit_tiny_patch16_224', 'vit_small_patch16_224', 'vit_base_patch16_224', 'vit_large_patch16_224',
    'vit_base_patch32_224', 'deit_tiny_patch16_224', 'deit_small_patch16_224', 'deit_base_patch16_224')


# --- names of weights ---

def from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a timm VisionTransformer under the names of MMPretrain's ImageClassifier over a VisionTransformer.

    The head is that of a VisionTransformerClsHead without a hidden layer. The tensors are those given, not copies.

    Raises:
        ValueError: If a name has no counterpart; it says what the first such weights are.
    """
    of_swiglu = {timm: host for host, timm in _OF_SWIGLU} if _has_swiglu(state) else {}
    return _renamed(state, _TO_HOST | of_swiglu, 'MMPretrain')


def to_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`from_timm`; the head may be a LinearClsHead as well.

    A network whose branches have been cut keeps its names, so its tensors are renamed as they are; whether timm can
    hold them is a matter of the timm model.

    Raises:
        ValueError: If a name has no counterpart, such as the bias that is left of a branch without units.
    """
    return _renamed(state, _TO_TIMM, 'timm')


def _has_swiglu(state: dict[str, Tensor]) -> bool:
    """Whether the first layer of timm's feed-forward networks is twice as wide as what the second reads."""
    first, second = (state.get(f'blocks.0.mlp.{name}.weight') for name in ('fc1', 'fc2'))
    return first is not None and second is not None and len(first) == 2 * second.shape[1]


def _renamed(state: dict[str, Tensor], names: dict[str, str], target: str) -> dict[str, Tensor]:
    renamed, strangers = {}, []
    for key, value in state.items():
        new = _rename(key, names)
        if new is None:
            strangers.append(key)
        else:
            renamed[new] = value
    if strangers:
        more = f' and {len(strangers) - 3} more' if len(strangers) > 3 else ''
        means = f' ({", ".join(_meanings(strangers))})' if _meanings(strangers) else ''
        raise ValueError(f"the weights {strangers[:3]}{more} have no counterpart in {target}'s VisionTransformer"
                         f'{means}; expected those of a plain ViT or DeiT, with a class token and a linear classifier')
    return renamed


def _meanings(keys: list[str]) -> list[str]:
    return [text for part, text in _MEANINGS.items() if any(part in key for key in keys)]


def _rename(key: str, names: dict[str, str]) -> str | None:
    """New name of one weight: of a parameter of its own, or of a layer's weight or bias. None without counterpart."""
    block = re.match(r'(?:backbone\.layers|blocks)\.(\d+)\.', key)
    pattern = key if block is None else key.replace(block[1], '{}', 1)
    layer, _, leaf = pattern.rpartition('.')
    if any(pattern in row for row in _PARAMETERS):
        new = names.get(pattern)
    else:
        leaves = _OF_SCALES.get(layer, _LEAVES)
        new = f'{names[layer]}.{leaves[leaf]}' if layer in names and leaf in leaves else None
    return new if new is None or block is None else new.format(block[1])


# --- what a timm model is ---

def architecture_of(name: str, *, num_classes: int | None = None, img_size: int | None = None) -> dict:
    """``model.architecture`` that a timm model's weights fit, to be copied into a config.

    For the network of a fine-tuned classifier say what differs: ``architecture_of('vit_small_patch16_224',
    num_classes=100)``.

    Args:
        name: timm's name, with or without the tag of its weights.
        num_classes: Classes of the head; those of timm's weights by default.
        img_size: Height and width of the images; those of timm's weights by default.

    Raises:
        ValueError: If timm has no such model, or MMPretrain's VisionTransformer cannot be it.
        ImportError: If timm is not installed.
    """
    asked = dict(num_classes=num_classes, img_size=img_size)
    model = build_empty(name, **{key: value for key, value in asked.items() if value is not None})
    if model.num_classes == 0:
        raise ValueError(f"timm's {name} has no classifier; say how many classes the head is to have, num_classes=")
    return architecture_of_model(model)


def architecture_of_model(model: nn.Module) -> dict:
    """The same for a timm VisionTransformer that has been built, with whatever arguments."""
    block = model.blocks[0]
    neurons, has_swiglu = block.mlp.fc2.in_features, _has_swiglu(model.state_dict())
    backbone = dict(
        type='mmamd.MaskedViT',
        arch=dict(embed_dims=model.embed_dim, num_layers=len(model.blocks), num_heads=block.attn.num_heads,
                  feedforward_channels=host_channels(neurons, 'blocks.0.mlp') if has_swiglu else neurons),
        img_size=_single(model.patch_embed.img_size), patch_size=_single(model.patch_embed.patch_size),
        in_channels=model.patch_embed.proj.in_channels, qkv_bias=block.attn.qkv.bias is not None,
        norm_cfg=dict(type='LN', eps=model.norm.eps),
        **(dict(num_registers=model.num_reg_tokens) if model.num_reg_tokens else {}),
        **(dict(layer_cfgs=dict(ffn_type='swiglu_fused')) if has_swiglu else {}),
        **({} if isinstance(block.ls1, nn.Identity) else dict(layer_scale_init_value=1.)),
        **({} if isinstance(model.norm_pre, nn.Identity) else dict(pre_norm=True)))
    head = dict(type='VisionTransformerClsHead', num_classes=model.num_classes, in_channels=model.embed_dim)
    return dict(type='ImageClassifier', backbone=backbone, head=head)


def build_empty(name: str, **kwargs: Any) -> nn.Module:
    """A timm model without storage (on the meta device), to be looked at. Raises as :func:`architecture_of` does."""
    check_name(name)
    timm = import_timm()
    module = timm.models.model_entrypoint(name.split('.')[0]).__module__
    if module.startswith('timm.models.') and module not in ('timm.models.vision_transformer', 'timm.models.deit'):
        strange = [f'another family, {module}']
    else:
        with torch.device('meta'):
            model = timm.create_model(name, pretrained=False, **kwargs)
        strange = peculiarities(model)
    if strange:
        raise ValueError(f"timm's {name} has no counterpart among MMPretrain's VisionTransformers, because of: "
                         f'{", ".join(strange)}. Expected a plain ViT or DeiT, such as '
                         f'{", ".join(nearest(name, FITTING, cutoff=0.))}')
    return model


def peculiarities(model: nn.Module) -> list[str]:
    """What in a timm model MMPretrain's VisionTransformer has no counterpart for; empty where it has one for all."""
    from timm.models.vision_transformer import VisionTransformer
    if type(model) is not VisionTransformer:
        kind = 'a distillation token' if hasattr(model, 'dist_token') else 'another class of network'
        return [f'{kind} ({type(model).__name__})']
    found = [
        (not model.has_class_token, 'no class token'),
        (model.global_pool != 'token', f'global_pool={model.global_pool!r}'),
        (model.pos_embed is None, 'no position embedding'),
        (model.num_reg_tokens and not model.no_embed_class, 'positions of its register tokens'),
        (not isinstance(model.norm, nn.LayerNorm), 'no norm after the blocks')]
    for block in model.blocks:
        found += _peculiarities_of_block(block)
    strangers = [key for key in model.state_dict() if _rename(key, _TO_HOST) is None]
    found += [(True, text) for text in _meanings(strangers)]
    # A layer that a later timm adds has weights that no text here is about.
    named = [text for is_so, text in found if is_so] or [f'the weight {key}' for key in strangers[:3]]
    return list(dict.fromkeys(named))


def _peculiarities_of_block(block: nn.Module) -> list[tuple[bool, str]]:
    from timm.layers import Attention, GluMlp, Mlp
    from timm.models.vision_transformer import Block
    if type(block) is not Block:
        return [(True, f'{type(block).__name__} in place of its blocks')]
    others = [type(part).__name__ for part, expected in ((block.attn, (Attention,)), (block.mlp, (Mlp, GluMlp)))
              if type(part) not in expected]
    if others:
        return [(True, f'{name} in its blocks') for name in others]
    mlp, act, norm = block.mlp, block.mlp.act, block.norm1
    if type(mlp) is GluMlp:
        num, is_swiglu = mlp.fc2.in_features, isinstance(act, nn.SiLU) and not mlp.gate_last
        of_mlp = [(not is_swiglu, f'a GluMlp with {act} in its blocks'),
                  (num % 8 != 0, f'SwiGLU of {num} neurons, which is no multiple of 8')]
    else:
        of_mlp = [(not isinstance(act, nn.GELU) or act.approximate != 'none', f'the activation {act}')]
    return [
        *of_mlp,
        (not isinstance(norm, nn.LayerNorm), f'the norm {type(norm).__name__}'),
        (block.attn.proj.in_features != block.attn.proj.out_features, 'attention of another width than its embedding')]


def normalisation_of(name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the RGB values, 0 to 255, that the weights of a timm model were trained with.

    They differ between models: ViTs of augreg and Google expect 127.5 and 127.5, DeiTs the values of ImageNet.
    """
    check_name(name)
    cfg = import_timm().models.get_pretrained_cfg(name)
    return [round(255 * value, 3) for value in cfg.mean], [round(255 * value, 3) for value in cfg.std]


# --- names of models ---

def check_name(name: str) -> None:
    """Raise ValueError, with the nearest names, unless timm has a model (and a tag of weights) of this name."""
    models = import_timm().models
    architecture, _, tag = name.partition('.')
    if not models.is_model(architecture):
        raise ValueError(f'timm has no model {name!r}{did_you_mean(architecture, models.list_models())}')
    tagged = models.get_arch_pretrained_cfgs(architecture)
    if tag and name not in tagged:
        raise ValueError(f"timm's {architecture} has no weights tagged {tag!r}; expected one of {sorted(tagged)}")


def import_timm() -> Any:
    """The package timm. Raises ImportError with how to install it."""
    try:
        import timm
    except ImportError as error:
        raise ImportError("names that begin with 'timm:' need the package timm: pip install 'mmamd[timm]'") from error
    return timm


def _single(pair: tuple[int, int]) -> int | tuple[int, int]:
    return pair[0] if pair[0] == pair[1] else pair
