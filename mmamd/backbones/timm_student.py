"""A pruned Vision Transformer as a timm model: needs torch, timm and safetensors, and no other file but its weights.

    from timm_model import load

    model = load('timm_model.safetensors')      # a timm VisionTransformer, in eval mode
    logits = model(images)                      # images (N, channels, H, W), normalised

timm's constructor gives all blocks the same width, so the blocks that lost heads or neurons are replaced here, by
timm's own layers where a branch has units left. Everything timm does with a VisionTransformer it does with this one;
it can be trained further, without dropout and stochastic depth.
"""

import json
from functools import partial
from pathlib import Path

import torch
import torch.nn as nn
from safetensors import safe_open
from timm.layers import Attention, Mlp, SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer


class Bias(nn.Module):
    """What is left of an attention or a feed-forward branch without units: its output bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor, **_) -> torch.Tensor:
        return self.bias.expand_as(x)


def load(weights: str | Path | None = None) -> VisionTransformer:
    """The model of a weight file; by default of the one beside this file, with its name.

    What was said of the model when it was written (how its images are normalised, its MACs) is in ``model.metadata``.
    """
    with safe_open(weights or Path(__file__).with_suffix('.safetensors'), framework='pt') as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    model = build(**json.loads(metadata['timm']))
    model.load_state_dict(state)
    model.metadata = metadata
    return model.eval()


def build(arguments: dict, heads: list[int], head_dim: int, neurons: list[int], gated: list[bool], eps: float,
          norm: bool, fc_norm: bool) -> VisionTransformer:
    """The model without weights.

    Args:
        arguments: Of timm's VisionTransformer, for what its blocks share.
        heads: Number of attention heads of each block, each ``head_dim`` wide; 0 leaves the bias of the branch.
        head_dim: Width of a head.
        neurons: Number of hidden neurons of each block, likewise.
        gated: Whether the feed-forward network of each block is a SwiGLU.
        eps: Of all layer norms.
        norm: Whether there is a norm after the blocks. timm's constructor has it there or after pooling, never twice.
        fc_norm: Whether there is a norm after pooling.
    """
    layer_norm, width = partial(nn.LayerNorm, eps=eps), arguments['embed_dim']
    model = VisionTransformer(norm_layer=layer_norm, **arguments)
    for block, num_heads, num_neurons, is_gated in zip(model.blocks, heads, neurons, gated, strict=True):
        if num_heads:
            block.attn = Attention(width, num_heads, attn_head_dim=head_dim, qkv_bias=arguments['qkv_bias'])
        else:
            block.norm1, block.attn = nn.Identity(), Bias(width)
        if num_neurons:
            block.mlp = SwiGLUPacked(width, 2 * num_neurons) if is_gated else Mlp(width, num_neurons)
        else:
            block.norm2, block.mlp = nn.Identity(), Bias(width)
    model.norm = layer_norm(width) if norm else nn.Identity()
    model.fc_norm = layer_norm(width) if fc_norm else nn.Identity()
    return model
