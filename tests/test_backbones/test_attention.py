"""The written-out product is the fused one, to the precision of bfloat16."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from mmamd.backbones.attention import attend

N, H, L, D = 3, 2, 7, 4


def drawn(dtype):
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, N, H, L, D, generator=generator).to(dtype)
    return [part.requires_grad_() for part in qkv], torch.randn(H, L, L, generator=generator).to(dtype)


def output_and_gradients(function, qkv):
    output = function(*qkv)
    (output.float() * torch.arange(D)).sum().backward()
    return [output.detach().float(), *(part.grad.float() for part in qkv)]


@pytest.mark.parametrize('has_bias', [False, True])
def test_bfloat16_agrees_with_float32_without_the_fused_product(has_bias, monkeypatch):
    (qkv, bias), (exact, exact_bias) = drawn(torch.bfloat16), drawn(torch.bfloat16)
    exact = [part.detach().float().requires_grad_() for part in exact]
    expected = output_and_gradients(lambda *x: scaled_dot_product_attention(
        *x, scale=0.3, attn_mask=exact_bias.float() if has_bias else None), exact)
    monkeypatch.setattr(torch.nn.functional, 'scaled_dot_product_attention', None)
    found = output_and_gradients(lambda *x: attend(*x, scale=0.3, bias_HLL=bias if has_bias else None), qkv)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.02 * theirs.abs().max().item())


def test_float32_is_the_fused_product():
    (q, k, v), bias = drawn(torch.float32)
    assert torch.equal(attend(q, k, v, scale=0.3, bias_HLL=bias),
                       scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=0.3))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_dropout_zeroes_that_share_of_the_weights_and_scales_the_others(dtype):
    torch.manual_seed(0)
    tokens = 200
    values = torch.eye(tokens, dtype=dtype)[None, None]
    alike = torch.zeros_like(values)  # all products are 0, so the weights are uniform before dropout
    weights = attend(alike, alike, values, scale=1., dropout=0.25)[0, 0].float() * tokens
    assert set((3 * weights).round().unique().tolist()) == {0., 4.}
    assert (weights == 0).float().mean() == pytest.approx(0.25, abs=0.01)
