"""timm's VisionTransformer and MMPretrain's are one function under two sets of names, or are refused."""

import sys

import pytest
import timm
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from timm.layers import GELUTanh, GluMlp, RmsNorm, SwiGLU, SwiGLUPacked
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock

import mmamd.backbones  # noqa: F401  registers the backbones
from mmamd.backbones.timm_vit import (
    FITTING,
    architecture_of,
    architecture_of_model,
    build_empty,
    check_name,
    from_timm,
    normalisation_of,
    to_timm,
)

TOLERANCE = 1e-5  # of the largest absolute logit
GATED = dict(mlp_ratio=2 * 2 / 3)  # two thirds of twice the width, for each half: 16 neurons
TINY = dict(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=7)


def random_timm(name, **kwargs):
    """A timm model whose every parameter is random: timm's own initialisation leaves biases and norms trivial."""
    generator = torch.Generator().manual_seed(0)
    model = timm.create_model(name, pretrained=False, **kwargs).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def built(architecture):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(architecture).eval()


def images(model, number=2):
    shape = (number, model.patch_embed.proj.in_channels, *model.patch_embed.img_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def assert_same_logits(model, network, number=2):
    expected, logits = model(images(model, number)), network(images(model, number))
    assert expected.std() > 0.01 * expected.abs().max() > 0  # else any network would do
    assert (logits - expected).abs().max() <= TOLERANCE * expected.abs().max()


# --- weights ---

@pytest.mark.parametrize('name, kwargs', [
    ('vit_tiny_patch16_224', TINY),
    ('vit_tiny_patch16_224', dict(TINY, qkv_bias=False)),
    ('vit_base_patch32_224', dict(TINY, mlp_ratio=2.5, in_chans=1)),
    ('vit_small_patch16_384', dict(TINY, img_size=(16, 32))),
    ('deit_small_patch16_224', dict(TINY, num_heads=2)),
    ('vit_base_patch16_224_miil', dict(depth=1)),
    ('deit3_small_patch16_224', TINY),
    ('vit_small_patch14_dinov2', TINY),
    ('vit_base_patch16_clip_224', TINY),
    ('vit_small_patch14_reg4_dinov2', TINY),
    ('vit_giant_patch14_reg4_dinov2', dict(TINY, **GATED)),
    ('vit_tiny_patch16_224', dict(img_size=32, patch_size=4, num_classes=100)),
    ('vit_small_patch16_224', {}),
    ('deit_tiny_patch16_224', {})], ids=str)
def test_a_converted_model_has_the_logits_of_timms(name, kwargs):
    model = random_timm(name, **kwargs)
    network = built(architecture_of_model(model))
    network.load_state_dict(from_timm(model.state_dict()), strict=True)
    assert_same_logits(model, network, number=1)


def test_a_student_is_a_timm_model_again():
    model = random_timm('deit_tiny_patch16_224', **TINY)
    network = built(architecture_of_model(model))  # of other weights
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.load_state_dict(to_timm(network.state_dict()), strict=True)
    assert_same_logits(model, network)


def test_there_and_back_is_the_same_tensors():
    # Block numbers of two digits, registers, SwiGLU.
    state = random_timm('vit_giant_patch14_reg4_dinov2', **dict(TINY, **GATED, depth=12)).state_dict()
    back = to_timm(from_timm(state))
    assert list(back) == list(state)
    assert all(back[key].data_ptr() == state[key].data_ptr() for key in state)


def test_a_linear_classifier_is_timms_head_too():
    weight = torch.ones(2, 3)
    assert to_timm({'head.fc.weight': weight}) == to_timm({'head.layers.head.weight': weight}) == {
        'head.weight': weight}


@pytest.mark.parametrize('key, meaning', [
    ('dist_token', 'a distillation token'),
    ('blocks.1.attn.q_norm.weight', 'a norm of the queries'), ('fc_norm.bias', 'a norm after pooling')])
def test_weights_without_a_counterpart_are_named_with_what_they_are(key, meaning):
    state = {'cls_token': torch.zeros(1), key: torch.zeros(1)}
    with pytest.raises(ValueError, match=rf"weights \['{key}'\] have no counterpart in MMPretrain's .*\({meaning}\)"):
        from_timm(state)


def test_what_is_left_of_a_branch_without_units_is_no_weight_of_timm():
    state = {f'backbone.layers.{i}.attn.bias': torch.zeros(1) for i in range(5)}
    with pytest.raises(ValueError, match=r"layers.2.attn.bias'\] and 2 more have no counterpart in timm's Vis"):
        to_timm(state)


# --- architectures ---

def test_the_architecture_of_a_timm_model_is_what_its_weights_need():
    assert architecture_of('vit_small_patch16_224') == dict(
        type='ImageClassifier',
        backbone=dict(
            type='mmamd.MaskedViT', img_size=224, patch_size=16, in_channels=3, qkv_bias=True,
            arch=dict(embed_dims=384, num_layers=12, num_heads=6, feedforward_channels=1536),
            norm_cfg=dict(type='LN', eps=1e-6)),
        head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384))


def test_the_architecture_of_a_fine_tuned_model_has_its_classes_and_image_size():
    architecture = architecture_of('vit_base_patch16_384.augreg_in1k')
    assert architecture['backbone']['img_size'] == 384
    architecture = architecture_of('vit_base_patch16_384.augreg_in1k', num_classes=100, img_size=224)
    assert architecture['backbone']['img_size'] == 224
    assert architecture['head']['num_classes'] == 100


def test_the_head_of_a_model_without_one_needs_a_number_of_classes():
    with pytest.raises(ValueError, match='vit_base_patch16_224.dino has no classifier; say how many .*num_classes='):
        architecture_of('vit_base_patch16_224.dino')
    assert architecture_of('vit_base_patch16_224.dino', num_classes=5)['head']['num_classes'] == 5


@pytest.mark.parametrize('name', FITTING)
def test_what_is_offered_fits(name):
    architecture = architecture_of(name)
    assert architecture['head']['in_channels'] == architecture['backbone']['arch']['embed_dims']


@pytest.mark.parametrize('name, reason', [
    ('swin_tiny_patch4_window7_224', 'another family, timm.models.swin_transformer'),
    ('convnext_tiny', 'another family, timm.models.convnext'),
    ('deit_base_distilled_patch16_224', 'a distillation token .*Expected .* such as deit_base_patch16_224'),
    ('vit_base_patch16_siglip_224', "no class token, global_pool='map', attention pooling"),
    ('vit_base_patch16_clip_quickgelu_224', r'the activation QuickGELU'),
    ('vit_small_patch16_18x2_224', 'ParallelThingsBlock in place of its blocks'),
    ('beit3_base_patch16_224', "global_pool='avg', .* a norm after pooling")])
def test_a_model_of_another_family_is_refused_with_what_has_no_counterpart(name, reason):
    with pytest.raises(ValueError, match=f"timm's {name} has no counterpart among MMPretrain's.* because of: {reason}"):
        architecture_of(name)


@pytest.mark.parametrize('kwargs, reason', [
    (dict(reg_tokens=2), 'positions of its register tokens'),
    (dict(qk_norm=True), 'a norm of the queries, a norm of the keys'),
    (dict(class_token=False, global_pool='avg'), "no class token, global_pool='avg'"),
    (dict(global_pool='avg'), "global_pool='avg', no norm after the blocks, a norm after pooling"),
    (dict(pos_embed='none'), 'no position embedding'),
    (dict(mlp_layer=SwiGLU), 'SwiGLU in its blocks'),
    (dict(mlp_layer=GluMlp), r'a GluMlp with GELU\(.*\) in its blocks'),
    (dict(mlp_layer=SwiGLUPacked, mlp_ratio=2.5, act_layer=torch.nn.SiLU),
     'SwiGLU of 30 neurons, which is no multiple of 8'),
    (dict(act_layer=GELUTanh), r'the activation GELUTanh\(\)'),
    (dict(norm_layer=RmsNorm), 'the norm RmsNorm'),
    # The next has the names and shapes of a plain ViT.
    (dict(block_fn=ResPostBlock), 'ResPostBlock in place of its blocks'),
    (dict(block_fn=ParallelScalingBlock), 'ParallelScalingBlock in place of its blocks'),
    (dict(scale_attn_norm=True), r'the weight blocks.0.attn.norm.weight')],
    ids=lambda value: '' if isinstance(value, str) else next(iter(value)))
def test_each_part_without_a_counterpart_is_seen(kwargs, reason):
    with pytest.raises(ValueError, match=f'because of: (.*, )?{reason}[,.]'):
        build_empty('vit_tiny_patch16_224', **{**TINY, **kwargs})


# --- names ---

@pytest.mark.parametrize('name, match', [
    ('vit_small_patch16_22', "timm has no model 'vit_small_patch16_22'. Did you mean vit_small_patch16_224, .* or "),
    ('resnet', "timm has no model 'resnet'. Did you mean "),
    ('no such thing', "timm has no model 'no such thing'.$"),
    ('vit_small_patch16_224.in22k', r"small_patch16_224 has no weights tagged 'in22k'; expected one of .*augreg_in1k")])
def test_an_unknown_name_is_refused_with_the_nearest(name, match):
    with pytest.raises(ValueError, match=match):
        check_name(name)


def test_without_timm_its_names_say_how_to_install_it_and_weights_can_be_renamed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r"pip install 'mmamd\[timm\]'"):
        architecture_of('vit_small_patch16_224')
    assert list(from_timm({'norm.bias': torch.zeros(1)})) == ['backbone.ln1.bias']


@pytest.mark.parametrize('name, mean, std', [
    ('vit_small_patch16_224', 127.5, 127.5),
    ('deit_small_patch16_224', 123.675, 58.395)])  # ImageNet's red
def test_the_normalisation_of_a_model_is_in_the_units_of_a_data_preprocessor(name, mean, std):
    found = normalisation_of(name)
    assert (found[0][0], found[1][0]) == (mean, std)
