"""MMPretrain's VisionTransformer, able to run as any candidate."""

from collections.abc import Iterator
from math import prod

import torch
import torch.nn as nn
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.utils import SwiGLUFFN
from torch import Tensor

from mmamd.backbones.elastic_layers import ElasticAttention, ElasticFFN
from mmamd.backbones.elastic_swiglu import ElasticSwiGLU, host_channels
from mmamd.backbones.elastic_transformer import ElasticTransformer, Site
from mmamd.backbones.registers import Registers
from mmamd.backbones.tail import Tail
from mmamd.backbones.timm_form import TimmForm, timm_form
from mmamd.registry import MODELS


@MODELS.register_module()
class MaskedViT(ElasticTransformer, VisionTransformer):
    """A VisionTransformer whose attention heads and hidden neurons can be scored, ranked, sliced and cut.

    Keys and shapes of the state dict are the host's, so any MMPretrain checkpoint of the network loads, and with all
    units active it computes the host's function. The forward pass slices weights; it never multiplies by zeros.

    For segmentation: ``out_type='featmap'`` and several ``out_indices`` give maps of several blocks, and images of any
    size run, for which the positions are interpolated. The weights of MMSegmentation's VisionTransformer load too, and
    those of DeiT III, whose class token has no position.

    Feed-forward layers are two linear ones, or SwiGLU (``layer_cfgs=dict(ffn_type='swiglu_fused')``). Register tokens,
    which the host does not have, stand behind the class token and are left out of what it returns.

    Args:
        num_registers: Number of register tokens, as DINOv2 has four. Defaults to none.
        heads: Number of heads of each block, for a network that has been cut. Defaults to all of them.
        neurons: Number of hidden neurons of each block, likewise.
        **kwargs: Arguments of :class:`mmpretrain.models.VisionTransformer`.

    Raises:
        ValueError: If ``heads`` or ``neurons`` does not give one count a block, or a count is out of range.
    """

    def __init__(self, *, num_registers: int = 0, heads: list[int] | None = None, neurons: list[int] | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_registers = num_registers
        if num_registers:
            registers = Registers(num_registers, self.num_extra_tokens, self.embed_dims, self.drop_after_pos)
            self.drop_after_pos = registers.requires_grad_(self.frozen_stages <= 0)
        for layer in self.layers:
            layer.attn = ElasticAttention(layer.attn)
            layer.ffn = (ElasticSwiGLU if isinstance(layer.ffn, SwiGLUFFN) else ElasticFFN)(layer.ffn)
        self.cut_to(heads, neurons)
        if self.frozen_stages > 0:  # once more: what has been cut is new
            self._freeze_stages()

    def sites(self) -> Iterator[Site]:
        num_tokens = prod(self.patch_resolution) + self.num_extra_tokens + self.num_registers
        for i, layer in enumerate(self.layers):
            yield Site(f'layers.{i}', 'head', layer, 'ln1', 'attn', num_tokens)
            yield Site(f'layers.{i}', 'neuron', layer, 'ln2', 'ffn', num_tokens)

    def fixed_macs(self) -> int:
        return prod(self.patch_resolution) * self.patch_embed.projection.weight.numel()

    def stem(self, images: Tensor) -> Tensor:
        x_NLC, _ = self.patch_embed(images)
        if self.cls_token is not None:
            x_NLC = torch.cat([self.cls_token.expand(len(images), -1, -1), x_NLC], dim=1)
        # Images have the size that the network was built for, so its positions need no resizing.
        return self.pre_norm(self.drop_after_pos(x_NLC + self.pos_embed))

    def finish(self, stream: Tensor) -> tuple[Tensor]:
        x_NLC = self.ln1(stream) if self.final_norm else stream
        return (self._format_output(x_NLC, self.patch_resolution),)

    def _format_output(self, x_NLC: Tensor, hw: tuple[int, int]) -> Tensor:
        return super()._format_output(self.drop_after_pos.taken_out(x_NLC) if self.num_registers else x_NLC, hw)

    def present_names(self, state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
        # MMSegmentation's VisionTransformer holds the same attention in torch's MultiheadAttention.
        state = self._with_position_of_class_token(state, f'{prefix}pos_embed')
        return {_name_of_mmpretrain(key) if key.startswith(f'{prefix}layers.') else key: value
                for key, value in state.items()}

    def _with_position_of_class_token(self, state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
        """Positions of patches alone, as DeiT III has them, with one of the class token, which changes nothing."""
        found, (_, num_tokens, width) = state.get(key), self.pos_embed.shape
        if self.cls_token is None or getattr(found, 'shape', None) != (1, num_tokens - 1, width):
            return state
        return {**state, key: torch.cat([found.new_zeros(1, 1, width), found], dim=1)}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self.patch_embed.projection.in_channels, *self.img_size)

    @property
    def hidden_state_modules(self) -> list[nn.Module]:
        """Modules whose outputs (N, L, C) are the hidden states: the embedding, then every block."""
        return [self.pre_norm, *self.layers]

    def tail(self) -> Tail:
        """A twelfth of the blocks, one at least, and the norm behind them, as in the code of ScaleKD."""
        num = max(1, self.num_layers // 12)
        last = [*self.layers[-num:], *([self.ln1] if self.final_norm else [])]
        return Tail(self.hidden_state_modules[-1 - num], last[-1], nn.Sequential(*last))

    def last_stages(self) -> tuple[nn.Module, nn.Module]:
        """A plain transformer counts as four stages of as many blocks."""
        return self.hidden_state_modules[3 * self.num_layers // 4], self.tail().behind

    # --- forms of the cut network that need no mmamd ---

    def plain_config(self, config: dict, kept: dict[str, int]) -> dict:
        """Config of the host's own VisionTransformer cut to ``kept``.

        The host's blocks may differ in their hidden neurons. A block without any keeps its norm, before a layer of
        width zero, which a SwiGLU cannot be.

        Args:
            config: Config that built this backbone.
            kept: Group name -> number of leading units kept.

        Raises:
            ValueError: As :meth:`check_plain`; if there are registers; if a SwiGLU cannot have the neurons it keeps.
        """
        if self.num_registers:
            raise ValueError(f'drop_after_pos: a VisionTransformer has no register tokens, and this one '
                             f'{self.num_registers}')
        self.check_plain(kept, 'VisionTransformer', [self.arch_settings['num_heads']] * self.num_layers)
        shared = config.get('layer_cfgs', {})
        own = [{**(shared if isinstance(shared, dict) else shared[i]),
                'feedforward_channels': _host_channels(layer.ffn, kept[f'layers.{i}.neuron'], f'layers.{i}')}
               for i, layer in enumerate(self.layers)]
        return {**{key: value for key, value in config.items() if key not in ('heads', 'neurons', 'num_registers')},
                'type': 'VisionTransformer', 'layer_cfgs': own}

    @staticmethod
    def timm_form(classifier: nn.Module) -> TimmForm:
        """See :func:`mmamd.backbones.timm_form.timm_form`; the classifier's backbone has been cut."""
        return timm_form(classifier)


def _host_channels(ffn: nn.Module, kept: int, name: str) -> int:
    return host_channels(kept, name) if isinstance(ffn, ElasticSwiGLU) else kept


def _name_of_mmpretrain(key: str) -> str:
    return key.replace('.attn.attn.in_proj_', '.attn.qkv.').replace('.attn.attn.out_proj.', '.attn.proj.')
