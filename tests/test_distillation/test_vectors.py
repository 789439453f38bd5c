import pytest
import torch

from mmamd.distillation.vectors import flattened, gram, pooled, rescaled, unit

IMAGES = torch.zeros(1, 3, 8, 8)


def test_maps_and_tokens_become_one_vector_an_image():
    maps = torch.arange(8.).view(1, 2, 2, 2)  # channel 0 has 0, 1, 2, 3 and channel 1 has 4, 5, 6, 7
    tokens = torch.cat([torch.full((1, 1, 2), 99.), maps.flatten(2).mT], dim=1)  # a class token first
    for state in (maps, tokens):
        assert pooled(state, IMAGES).tolist() == [[1.5, 5.5]]
        assert flattened(state, IMAGES).tolist() == [list(range(8))]


@pytest.mark.parametrize('form', [pooled, flattened])
def test_vectors_are_left_and_half_precision_is_not(form):
    vectors = torch.ones(2, 3)
    assert form(vectors, IMAGES) is vectors
    # The sum of 4096 ones in float16 stops at 2048.
    assert form(torch.ones(1, 4096, 1, dtype=torch.float16), IMAGES).unique().tolist() == [1.]
    assert form(vectors.half(), IMAGES).dtype == torch.float32


def test_lengths_are_one_or_zero():
    # (3, 4) has length 5.
    assert unit(torch.tensor([[3., 4.], [0., 0.]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0., 0.]]


def test_nothing_has_a_finite_gradient():
    zeros = torch.zeros(2, 3, requires_grad=True)
    (unit(rescaled(zeros)) * torch.arange(3.)).sum().backward()
    assert zeros.grad.tolist() == [[0., 1., 2.]] * 2


def test_the_largest_magnitude_becomes_one():
    assert rescaled(torch.tensor([[1., -4.], [2., 0.]])).tolist() == [[0.25, -1.], [0.5, 0.]]


def test_the_divisor_changes_no_gradient_of_what_is_blind_to_scale():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: gram(unit(rescaled(x))), x)


def test_products_keep_their_precision_under_autocast():
    # 1.001 squared is 1.002001; bfloat16 knows 1 and 1.0078.
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert gram(torch.tensor([[1.001]])).item() == pytest.approx(1.002001, abs=1e-6)
