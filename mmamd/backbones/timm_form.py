"""From a classifier over a MaskedViT that has been cut to what ``timm_student.py`` builds it from."""

import re
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticBranch, ElasticFFN
from mmamd.backbones.elastic_swiglu import ElasticSwiGLU
from mmamd.backbones.timm_vit import to_timm

# Weights that a plain ViT of timm does not have and a cut one, or one with further norms, does: pattern of MMPretrain's
# name, timm's name. What is left of an empty branch carries its layer scale under another name.
_NAMES = (
    (r'backbone\.layers\.(\d+)\.attn\.bias', r'blocks.\1.attn.bias'),
    (r'backbone\.layers\.(\d+)\.ffn\.bias', r'blocks.\1.mlp.bias'),
    (r'backbone\.layers\.(\d+)\.attn\.(?:gamma1|scale)\.weight', r'blocks.\1.ls1.gamma'),
    (r'backbone\.layers\.(\d+)\.ffn\.(?:gamma2|scale)\.weight', r'blocks.\1.ls2.gamma'),
    (r'backbone\.pre_norm\.(\w+)', r'norm_pre.\1'),
    (r'backbone\.ln2\.(\w+)', r'fc_norm.\1'))


class TimmForm(NamedTuple):
    """A network in timm's terms.

    Attributes:
        builder: A file of Python that needs no mmamd, whose ``load`` makes the model from a file of weights.
        arguments: What it builds the model from, plain enough for JSON; the entry ``timm`` of that file's metadata.
        weights: The weights under timm's names.
    """

    builder: Path
    arguments: dict
    weights: dict[str, Tensor]


def timm_form(classifier: nn.Module) -> TimmForm:
    """A classifier in timm's terms.

    Dropout and stochastic depth have no part in the function and are left behind.

    Args:
        classifier: An ImageClassifier over a MaskedViT, cut or not.

    Raises:
        ValueError: If timm's layers cannot be this network; it names the layer and the reason.
    """
    reasons = _reasons_against(classifier)
    if reasons:
        raise ValueError('; '.join(reasons))
    state = classifier.state_dict()
    renamed = {key: _rename(key) for key in state if _rename(key) != key}
    weights = {new: state[key] for key, new in renamed.items()}
    weights |= to_timm({key: value for key, value in state.items() if key not in renamed})
    if classifier.backbone.num_registers:
        weights['pos_embed'] = _with_positions_of_registers(classifier.backbone, weights['pos_embed'])
    if 'head.weight' not in weights:
        raise ValueError(f"head: a {type(classifier.head).__name__} has no linear classifier, which timm's network has")
    arguments = _build_arguments(classifier.backbone, num_classes=len(weights['head.weight']))
    # Read, not imported: it imports timm, which is not needed to write its form.
    return TimmForm(Path(__file__).with_name('timm_student.py'), arguments, weights)


def _rename(key: str) -> str:
    for pattern, name in _NAMES:
        key = re.sub(f'^{pattern}$', name, key)
    return key


def _with_positions_of_registers(backbone: nn.Module, positions_1LC: Tensor) -> Tensor:
    """Positions with zeros for the registers: timm has positions of all tokens, or of patches alone."""
    num, width = backbone.num_extra_tokens, positions_1LC.shape[-1]
    zeros_1RC = positions_1LC.new_zeros(1, backbone.num_registers, width)
    return torch.cat([positions_1LC[:, :num], zeros_1RC, positions_1LC[:, num:]], dim=1)


def _build_arguments(backbone: nn.Module, num_classes: int) -> dict:
    width, conv = backbone.embed_dims, backbone.patch_embed.projection
    num_heads = backbone.arch_settings['num_heads']
    attentions = [layer.attn for layer in backbone.layers if isinstance(layer.attn, ElasticBranch)]
    scaled = any(key.endswith(('gamma1.weight', 'gamma2.weight', 'scale.weight')) for key in backbone.state_dict())
    arguments = dict(
        img_size=list(backbone.img_size), patch_size=list(conv.kernel_size), in_chans=conv.in_channels,
        num_classes=num_classes, embed_dim=width, depth=backbone.num_layers, num_heads=num_heads,
        global_pool='token' if backbone.out_type == 'cls_token' else 'avg', class_token=backbone.with_cls_token,
        reg_tokens=backbone.num_registers,
        pre_norm=not isinstance(backbone.pre_norm, nn.Identity), init_values=1.0 if scaled else None,
        qkv_bias=any(attention.qkv.bias is not None for attention in attentions))
    return dict(arguments=arguments, head_dim=width // num_heads, eps=_eps(backbone), norm=backbone.final_norm,
                heads=[getattr(layer.attn, 'count', 0) for layer in backbone.layers],
                neurons=[getattr(layer.ffn, 'count', 0) for layer in backbone.layers],
                gated=[isinstance(layer.ffn, ElasticSwiGLU) for layer in backbone.layers],
                fc_norm=backbone.out_type == 'avg_featmap')


def _norms(backbone: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in backbone.named_modules() if hasattr(module, 'eps')}


def _eps(backbone: nn.Module) -> float:
    # A network cut down to biases, without a norm before or after its blocks, has no norm to ask.
    return next((norm.eps for norm in _norms(backbone).values()), 1e-6)


def _reasons_against(classifier: nn.Module) -> list[str]:
    """What in the network timm's VisionTransformer has no counterpart for; empty where there is nothing."""
    if not isinstance(classifier, ImageClassifier):
        return [f'the network is a {type(classifier).__name__}, and timm classifies images']
    backbone, conv = classifier.backbone, classifier.backbone.patch_embed.projection
    found = {
        'neck: timm has no layers between backbone and head': classifier.with_neck,
        f'backbone: out_type={backbone.out_type!r} is not one token':
            backbone.out_type not in ('cls_token', 'avg_featmap'),
        'backbone: more outputs than that of the last block': backbone.out_indices != [backbone.num_layers - 1],
        'patch_embed: not a plain convolution of one stride a patch': type(conv) is not nn.Conv2d
        or conv.stride != conv.kernel_size or any(conv.padding) or backbone.patch_embed.norm is not None,
        'patch_embed: the image is no whole number of patches':
            any(size % patch for size, patch in zip(backbone.img_size, conv.kernel_size, strict=True))}
    eps = _eps(backbone)
    for name, norm in _norms(backbone).items():
        if type(norm) is not nn.LayerNorm or norm.eps != eps:
            found[f'{name}: {norm}; timm has one LayerNorm for all, which would be that of eps={eps}'] = True
            break
    for i, layer in enumerate(backbone.layers):
        if isinstance(layer.ffn, ElasticFFN):
            act = layer.ffn.layers[0][1]
            found[f'layers.{i}: the activation {act}; expected the exact GELU'] = (
                not isinstance(act, nn.GELU) or act.approximate != 'none')
    return [reason for reason, is_so in found.items() if is_so]
