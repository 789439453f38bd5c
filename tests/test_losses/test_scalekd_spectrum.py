import pytest
import scipy.fft
import torch

from mmamd.distillation.losses.scalekd.spectrum import alternative, dct2, direct, idct2

SIZES = [(5, 5), (7, 7), (8, 8), (14, 14), (3, 6), (1, 1)]


def maps(size):
    return 3 + torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize('size', SIZES)
def test_the_transform_is_scipys_and_has_an_inverse(size):
    x = maps(size)
    torch.testing.assert_close(dct2(x), torch.from_numpy(scipy.fft.dctn(x.numpy(), type=2, axes=(2, 3))))
    torch.testing.assert_close(idct2(dct2(x)), x)


@pytest.mark.parametrize('size', SIZES)
def test_removing_the_mean_is_removing_the_zero_frequency(size):
    x = maps(size)
    spectrum = dct2(x)
    spectrum[:, :, 0, 0] = 0
    torch.testing.assert_close(alternative(x), idct2(spectrum), rtol=0, atol=1e-12)
    assert alternative(x).mean((2, 3)).abs().max() < 1e-12


def test_direct_and_alternative_components_by_hand():
    x = torch.tensor([[[[1., 3.], [5., 7.]]]])  # mean 4
    assert torch.equal(direct(x), torch.full((1, 1, 2, 2), 4.))
    assert torch.equal(alternative(x), torch.tensor([[[[-3., -1.], [1., 3.]]]]))
