"""What ScaleKD shows: spectra, where its queries look, and a distance that is logged with and without its view."""

import math

import pytest
import torch
from torch import nn

from mmamd.distillation.losses.scalekd.feature_mimicking import alternative_distance, mimicking_loss
from mmamd.distillation.losses.scalekd.pictures import attention, spectra, stages
from mmamd.distillation.losses.scalekd.spectrum import alternative, dct2
from mmamd.distillation.maps import as_maps
from mmamd.distillation.outputs import Outputs
from mmamd.passes import watch
from mmamd.registry import MODELS


class Classifier(nn.Module):
    """As much of a classifier as running it takes."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images, mode):
        return self.backbone(images)


def shown(distiller):
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return {picture.name: picture for picture in distiller.eval().pictures(images, [])}


def test_a_spectrum_is_the_share_of_the_direct_component():
    maps = torch.randn(3, 2, 4, 5)
    mean = dct2(maps).abs().mean((0, 1))
    found = torch.tensor(spectra({'x': maps}).panels['x'])
    torch.testing.assert_close(found, (mean / mean[0, 0]).log10())
    # A constant has nothing else; one millionth is shown where there is nothing.
    assert spectra({'x': torch.ones(1, 1, 2, 2)}).panels['x'] == [[0., -6.], [-6., -6.]]


def test_stages_of_a_teacher_end_where_its_maps_change_their_size():
    swin = MODELS.build(dict(type='mmamd.MaskedSwin', arch=dict(embed_dims=8, depths=[2, 1, 1], num_heads=[1, 2, 4]),
                             img_size=32, patch_size=2, window_size=4, out_indices=(2,)))
    images = torch.randn(2, 3, 32, 32)
    network = Classifier(swin).eval()
    found = stages(Outputs(network, images, [], None, {}), swin)
    assert {name: tuple(maps.shape) for name, maps in found.items()} == {
        'backbone.stages.0.blocks.1': (2, 8, 16, 16), 'backbone.stages.1.blocks.0': (2, 16, 8, 8)}
    with watch(network, found) as seen:
        swin(images)
    for name, maps in found.items():
        assert torch.equal(maps, as_maps(seen[name], images))


def test_blocks_that_widen_maps_of_one_size_are_one_stage():
    network = MODELS.build(dict(type='mmamd.MaskedMobileNetV2', widen_factor=0.25, out_indices=(7,)))
    found = stages(Outputs(Classifier(network).eval(), torch.randn(2, 3, 64, 64), [], None, {}), network)
    assert [tuple(maps.shape[2:]) for maps in found.values()] == [(32, 32), (16, 16), (8, 8), (4, 4)]


@pytest.mark.parametrize('depth, blocks', [(8, (1, 3, 5)), (3, (0, 1)), (1, ())])
def test_a_transformer_without_stages_counts_as_four_parts(depth, blocks):
    arch = dict(embed_dims=8, num_layers=depth, num_heads=2, feedforward_channels=8)
    vit = MODELS.build(dict(type='mmamd.MaskedViT', arch=arch, img_size=8, patch_size=4))
    found = stages(Outputs(Classifier(vit).eval(), torch.randn(2, 3, 8, 8), [], None, {}), vit)
    assert {name: tuple(maps.shape) for name, maps in found.items()} == {
        f'backbone.layers.{block}': (2, 8, 2, 2) for block in blocks}


def test_queries_are_asked_in_the_middle_of_each_quarter():
    weights = torch.arange(16.).view(1, 16, 1).expand(2, 16, 6)  # the query's own number at each position
    found = attention(weights, (4, 4), (2, 3)).panels
    assert found == {f'query ({row}, {column})': [[4. * row + column] * 3] * 2 for row in (1, 3) for column in (1, 3)}
    assert list(attention(weights[:, :1], (1, 1), (2, 3)).panels) == ['query (0, 0)']


def test_a_trained_term_shows_both_networks_and_its_attention(make_distiller):
    distiller = make_distiller(losses=dict(scalekd=dict(type='mmamd.ScaleKDLoss')), candidates=None)
    found = shown(distiller)
    assert list(found['spectrum'].panels) == [f'{whose}: backbone.{name}' for whose in ('teacher', 'student')
                                              for name in ('layers.0', 'ln1')]
    panels = torch.tensor(list(found['attention'].panels.values()))
    assert panels.shape == (4, 2, 2)
    torch.testing.assert_close(panels.sum((1, 2)), torch.ones(4))


@pytest.mark.parametrize('options', [dict(projector='linear', tpp=False), dict(windows=(1, 2))])
def test_without_attention_over_the_whole_map_there_is_no_picture_of_it(make_distiller, options):
    distiller = make_distiller(losses=dict(scalekd=dict(type='mmamd.ScaleKDLoss', **options)), candidates=None)
    assert set(shown(distiller)) == {'spectrum'}


def test_weights_of_attention_are_those_that_it_uses(make_distiller):
    distiller = make_distiller(losses=dict(scalekd=dict(type='mmamd.ScaleKDLoss', heads=(1, 1))), candidates=None)
    cross = distiller.terms['scalekd'].paths[0]['original'].student.attention
    queries, keys = torch.randn(2, 4, 8), torch.randn(2, 6, 8)
    expected = cross.leave(cross.weights(queries, keys) @ cross.value(keys))
    torch.testing.assert_close(cross(queries, keys), expected)


def test_distance_is_that_of_the_maps_without_their_direct_component(make_distiller):
    student, teacher = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4)
    found = alternative_distance(student, teacher)
    assert found.item() == pytest.approx(mimicking_loss(alternative(student), alternative(teacher)).item() / 16)
    assert not found.requires_grad and alternative_distance(teacher, 2 * teacher + 1).item() == pytest.approx(
        0., abs=1e-6)


@pytest.mark.parametrize('dfm', [True, False])
def test_distance_is_logged_and_not_minimised(make_distiller, dfm):
    losses = dict(scalekd=dict(type='mmamd.ScaleKDLoss', dfm=dfm, kd=False, preset='paper'))
    distiller = make_distiller(losses=losses, candidates=None)
    images = torch.randn(4, 3, 8, 8)
    found = distiller.loss(images, [], distiller.teach(images, []))
    distance = found['1.00.alternative_distance']
    if dfm:  # what its own view minimises
        torch.testing.assert_close(0.4 * distance, found['1.00.loss_scalekd.loss_student_alternative'].detach())
    loss, _ = distiller.parse_losses(found)
    assert math.isfinite(distance) and loss == sum(value for key, value in found.items() if 'loss' in key)
