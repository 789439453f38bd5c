"""Scaled dot-product attention: torch's fused kernel or, in bfloat16 on a CPU, its parts.

Shapes: N samples, H heads, L tokens, D width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q_NHLD: Tensor, k_NHLD: Tensor, v_NHLD: Tensor, *, scale: float, bias_HLL: Tensor | None = None,
           dropout: float = 0.) -> Tensor:
    """``softmax(q k' * scale + bias) v`` with dropout on the attention weights, shape (N, H, L, D).

    In bfloat16 on a CPU the backward pass of torch's fused kernel does not use the processor's bfloat16 products.
    Written out, a training step of ViT-S/16 takes 0.75 of the time, one of a ViT on 65 tokens 0.37, for 1.14 and 1.17
    of the memory (results/2026-11-25_benchmarks.md): one (L, L) matrix a sample and head is kept for the backward pass.

    Args:
        q_NHLD, k_NHLD, v_NHLD: Queries, keys and values; H at least 1.
        scale: What the products of queries and keys are multiplied by.
        bias_HLL: Added to the scaled products, the same for all samples.
        dropout: Probability with which an attention weight is zeroed.
    """
    bias_1HLL = None if bias_HLL is None else bias_HLL[None]
    if q_NHLD.device.type != 'cpu' or q_NHLD.dtype is not torch.bfloat16:
        return F.scaled_dot_product_attention(q_NHLD, k_NHLD, v_NHLD, attn_mask=bias_1HLL, dropout_p=dropout,
                                              scale=scale)
    scores_NHLL = (q_NHLD * scale) @ k_NHLD.transpose(-2, -1)
    weights_NHLL = (scores_NHLL if bias_1HLL is None else scores_NHLL + bias_1HLL).softmax(-1)
    return F.dropout(weights_NHLL, dropout) @ v_NHLD
