"""Adaptive pooling over uneven fields leaves the project as what it is."""

import pytest
import torch
import torch.nn as nn

from mmamd.export.adaptive_pooling import AveragingMatrices, AveragingProducts, pooled_by_matrices
from mmamd.export.onnx import export_onnx, read_onnx


@pytest.mark.parametrize('size, behind', [((5, 7), 3), ((4, 6), (2, None)), ((3, 3), (4, 1))])
def test_matrices_average_what_the_pooling_averages(size, behind):
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pool = nn.AdaptiveAvgPool2d(behind)
    torch.testing.assert_close(AveragingMatrices(pool, size)(maps), pool(maps))


@pytest.mark.parametrize('size', [(5, 7), (3, 12), (2, 3)])
def test_products_average_at_any_size_what_the_pooling_averages(size):
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pool = nn.AdaptiveAvgPool2d((3, 2))
    torch.testing.assert_close(AveragingProducts(pool)(maps), pool(maps))


class Pyramid(nn.Module):
    """Averages over 1, 2 x 2 and 3 x 3 fields, as host's networks are called."""

    def __init__(self):
        super().__init__()
        self.pools = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Conv2d(3, 2, 1)) for size in (1, 2, 3))

    def forward(self, images, mode='tensor'):
        return torch.cat([pool(images).flatten(1) for pool in self.pools], dim=1)


def test_a_pyramid_over_uneven_fields_is_exported_and_left_as_it_was(tmp_path):
    network = Pyramid()
    before = list(network.modules())
    assert export_onnx(network, tmp_path / 'model.onnx', input_shape=(3, 4, 5)) <= 1e-5
    assert list(network.modules()) == before


def test_a_pyramid_is_one_graph_for_images_of_all_sizes(tmp_path):
    network = Pyramid()
    before = list(network.modules())
    assert export_onnx(network, tmp_path / 'model.onnx', input_shape=(3, 10, 12), any_size=True) <= 1e-5
    assert list(network.modules()) == before
    images = torch.randn(2, 3, 23, 17, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(read_onnx(tmp_path / 'model.onnx')(images), network(images))


def test_what_is_pooled_evenly_stays_in_the_graph():
    network = Pyramid()
    with pooled_by_matrices(network, torch.zeros(1, 3, 4, 6)):
        kinds = [type(pool[0]) for pool in network.pools]
    assert kinds == [nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool2d, AveragingMatrices]  # 4 rows are not three fields
