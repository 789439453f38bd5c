"""The last stage of every elastic backbone, run on its own."""

import pytest
import timm
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from test_elastic_contract import EACH, all_units, drawn_at_random, images, no_units, some_units

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.timm_vit import architecture_of_model, from_timm
from mmamd.distillation.connectors import names_of
from mmamd.passes import watch

EXACT = 1e-6  # of the largest absolute value


@pytest.fixture(scope='module', params=EACH)
def network(request):
    return request.param.network()


@torch.no_grad()
def run(network, images_N):
    """What enters the last stage, what leaves it, and the logits."""
    tail = network.backbone.tail()
    names = names_of(network, [tail.before, tail.behind])
    with watch(network, names) as seen:
        logits_NK = network(images_N)
    return *(seen[name] for name in names), logits_NK


@torch.no_grad()
def replaced(network, output, images_N):
    """Logits of a network whose last stage puts out something else."""
    hook = network.backbone.tail().behind.register_forward_hook(lambda *_: output)
    logits_NK = network(images_N)
    hook.remove()
    return logits_NK


def assert_same(actual, expected):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= EXACT * expected.abs().max()


@pytest.mark.parametrize('choose', [all_units, some_units, no_units])
def test_of_what_enters_it_the_tail_makes_what_the_network_makes_as_any_candidate(network, choose):
    network.backbone.activate(choose(network.backbone.unit_groups()))
    images_N = images(network, 3)
    entered, left, logits_NK = run(network, images_N)
    found = network.backbone.tail().run(entered)
    assert_same(found.detach(), left)
    assert_same(replaced(network, found, images_N), logits_NK)


def test_the_tail_reads_what_enters_it_and_the_head_what_leaves_it(network):
    network.backbone.activate(None)
    images_N = images(network, 3)
    entered, left, logits_NK = run(network, images_N)
    entered.requires_grad_()
    found = network.backbone.tail().run(entered)
    found.sum().backward()
    assert entered.grad.any()
    assert not torch.allclose(replaced(network, torch.zeros_like(left), images_N), logits_NK)


def test_the_last_two_stages_end_where_the_tail_ends(network):
    early, last = network.backbone.last_stages()
    assert last is network.backbone.tail().behind and early is not last


@pytest.mark.parametrize('depth, before, early', [(1, 'pre_norm', 'pre_norm'), (12, 'layers.10', 'layers.8'),
                                                  (24, 'layers.21', 'layers.17')])
def test_a_twelfth_of_a_vit_is_its_last_stage_and_as_a_student_a_quarter(depth, before, early):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        vit = MODELS.build(dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, arch=dict(
            embed_dims=4, num_layers=depth, num_heads=1, feedforward_channels=2)))
    tail = vit.tail()
    assert names_of(vit, [tail.before, tail.behind]) == [before, 'ln1']
    assert names_of(vit, vit.last_stages()) == [early, 'ln1']


@torch.no_grad()
def test_a_teacher_of_timm_has_a_tail_that_is_timms():
    model = drawn_at_random(timm.create_model('vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=24, depth=3,
                                              num_heads=3, num_classes=7)).eval()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(architecture_of_model(model)).eval()
    network.load_state_dict(from_timm(model.state_dict()))
    tokens_NLC = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0))
    expected = model.norm(model.blocks[-1](tokens_NLC))
    assert (network.backbone.tail().run(tokens_NLC) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_backbone_without_a_tail_says_so():
    with pytest.raises(ValueError, match=r'ElasticBackbone offers no last stage to be run again \(tail\); use a'):
        ElasticBackbone().last_stages()
