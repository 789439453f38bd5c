"""Muon for matrices, AdamW for the rest.

Shapes: M outputs and N inputs of a linear layer.
"""

import math

import pytest
import torch
import torch.nn as nn
from joint_step_toys import RawImages, joint_loop, raw_batch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from test_training_run import collate

from mmamd.distillation.muon import Muon, active_shape, check_muon, matrices, with_constructor

SETTINGS = dict(optimizer=dict(type='mmamd.Muon', lr=1e-2, weight_decay=0.1))


class Toy(nn.Module):
    """A backbone of a convolution, a fused layer, a linear layer and a norm; a head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict(dict(embed=nn.Conv2d(3, 4, 2), qkv=nn.Linear(4, 12), fc=nn.Linear(4, 6),
                                           norm=nn.LayerNorm(4)))
        self.head = nn.Linear(4, 2)


def with_gradients(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return model


def toy(**overrides):
    """A model and its optimizer, as the pipeline builds it."""
    torch.manual_seed(0)
    model = Toy()
    optimizer = {**SETTINGS['optimizer'], **overrides}
    return model, build_optim_wrapper(model, with_constructor({**SETTINGS, 'optimizer': optimizer})).optimizer


def step_of(optimizer, parameter):
    before = parameter.detach().clone()
    optimizer.step()
    return parameter.detach() - before


# --- which parameters are whose ---

def test_linear_layers_of_the_backbone_are_matrices_and_all_else_is_left_to_adamw():
    model, optimizer = toy()
    parts = {id(group['params'][0]): group['parts'] for group in optimizer.param_groups}
    assert {name: parts[id(p)] for name, p in model.named_parameters() if parts[id(p)]} == {
        'backbone.qkv.weight': 3, 'backbone.fc.weight': 1}
    assert len(parts) == len(list(model.parameters()))


def test_matrices_of_a_vit_are_the_four_of_each_block(make_distiller):
    distiller = make_distiller()
    names = {parameter: name for name, parameter in distiller.named_parameters()}
    found = {names[parameter]: parts for parameter, parts in matrices(distiller).items()}
    prefix = 'network.backbone.layers.'
    assert found == {f'{prefix}{i}.{name}.weight': parts for i in range(2) for name, parts in {
        'attn.qkv': 3, 'attn.proj': 1, 'ffn.layers.0.0': 1, 'ffn.layers.1': 1}.items()}


def test_rules_for_single_parameters_hold_beside():
    wrapper = build_optim_wrapper(Toy(), with_constructor({**SETTINGS, 'paramwise_cfg': dict(
        flat_decay_mult=0.0, custom_keys={'fc.weight': dict(lr_mult=0.5)})}))
    groups = {group['params'][0].shape: group for group in wrapper.optimizer.param_groups}
    assert groups[6, 4]['lr'] == 5e-3 and groups[6, 4]['parts'] == 1
    assert groups[6,]['weight_decay'] == 0 and groups[12, 4]['weight_decay'] == 0.1


# --- what a step is ---

@pytest.mark.parametrize('shape', [(8, 3), (3, 8), (5, 5)])
def test_a_step_is_the_scaled_orthogonal_factor_of_the_gradient(shape):
    weight = nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    step = step_of(Muon([dict(params=[weight], parts=1)], lr=1e-2), weight)
    left, _, right = torch.linalg.svd(weight.grad, full_matrices=False)
    # Five iterations bring the singular values near 1, to within 0.5 to 1.5 by their design.
    factor = step / (-1e-2 * 0.2 * math.sqrt(max(shape)))
    aligned = left.T @ factor @ right.T
    assert (aligned.diag() > 0.5).all() and (aligned.diag() < 1.5).all()
    assert (aligned - aligned.diag().diag()).abs().max() < 0.05, 'bfloat16 keeps 8 bits'
    # So the root mean square of a step is about 0.2 of the rate, which is AdamW's.
    assert step.square().mean().sqrt() == pytest.approx(0.2 * 1e-2, rel=0.4)


def test_matrices_step_as_by_torchs_muon():
    model, optimizer = toy()
    reference, _ = toy()
    qkv = [nn.Parameter(part.clone()) for part in reference.backbone.qkv.weight.detach().chunk(3)]
    torchs = torch.optim.Muon([*qkv, reference.backbone.fc.weight], lr=1e-2, weight_decay=0.1,
                              adjust_lr_fn='match_rms_adamw')
    for seed in range(3):
        with_gradients(model, seed)
        with_gradients(reference, seed)
        for part, gradient in zip(qkv, reference.backbone.qkv.weight.grad.chunk(3), strict=True):
            part.grad = gradient
        optimizer.step()
        torchs.step()
    assert torch.equal(model.backbone.fc.weight, reference.backbone.fc.weight)
    assert torch.equal(model.backbone.qkv.weight, torch.cat(qkv))


def test_the_rest_steps_as_by_torchs_adamw():
    model, optimizer = toy()
    reference, _ = toy()
    torchs = torch.optim.AdamW(reference.parameters(), lr=1e-2, weight_decay=0.1)
    for seed in range(3):
        with_gradients(model, seed)
        with_gradients(reference, seed)
        optimizer.step()
        torchs.step()
    differing = [name for name, p in model.named_parameters() if not torch.equal(p, reference.get_parameter(name))]
    assert differing == ['backbone.qkv.weight', 'backbone.fc.weight']


# --- networks that run as candidates ---

def test_rows_and_columns_without_gradient_stay_and_the_others_step_as_if_cut():
    whole, cut = nn.Parameter(torch.randn(8, 6)), nn.Parameter(torch.zeros(3, 2))
    cut.data = whole.data[:3, :2].clone()
    gradient = torch.randn(3, 2)
    whole.grad, cut.grad = torch.zeros(8, 6), gradient
    whole.grad[:3, :2] = gradient
    before = whole.detach().clone()
    for weight in (whole, cut):
        Muon([dict(params=[weight], parts=1)], lr=1e-2, weight_decay=0.1).step()
    assert torch.equal(whole[:3, :2], cut)
    whole.data[:3, :2] = before[:3, :2]
    assert torch.equal(whole, before)


def test_a_gap_between_rows_stays_without_step():
    weight = nn.Parameter(torch.randn(4, 4))
    weight.grad = torch.randn(4, 4)
    weight.grad[1], weight.grad[:, 2] = 0, 0
    step = step_of(Muon([dict(params=[weight], parts=1)], lr=1e-2, weight_decay=0.), weight)
    assert not step[1].any() and not step[:, 2].any() and step[[0, 2, 3]][:, [0, 1, 3]].all()


def test_each_part_of_a_fused_layer_has_its_own_leading_rows():
    # Two heads of two rows in each of queries, keys and values; the first head is active.
    weight, gradient = nn.Parameter(torch.zeros(12, 4)), torch.randn(12, 4)
    gradient.unflatten(0, (3, 2, 2))[:, 1] = 0
    weight.grad = gradient
    step = step_of(Muon([dict(params=[weight], parts=3)], lr=1.), weight).unflatten(0, (3, 2, 2))
    assert not step[:, 1].any()
    for part in step[:, 0]:  # (2, 4), of orthogonal rows of length 0.2 sqrt(4)
        rows = part / (0.2 * 2)
        assert (rows @ rows.T - torch.eye(2)).abs().max() < 0.6
        assert torch.linalg.svdvals(rows).min() > 0.5


def test_what_had_a_gradient_before_is_active_still():
    gradient, momentum = torch.zeros(4, 5), torch.zeros(4, 5)
    assert active_shape(gradient, momentum) == (0, 0)
    gradient[0, 2] = 1
    momentum[2, 0] = -1e-30
    assert active_shape(gradient, momentum) == (3, 3)


def test_a_matrix_without_gradient_is_left_alone():
    for gradient in (None, torch.zeros(3, 3)):
        weight = nn.Parameter(torch.randn(3, 3))
        weight.grad = gradient
        assert not step_of(Muon([dict(params=[weight], parts=1)], lr=1e-2, weight_decay=0.1), weight).any()


def test_a_joint_step_of_small_candidates_moves_the_units_of_the_largest_alone(make_distiller):
    distiller = make_distiller()
    distiller.candidates = distiller.candidates[:2]  # the larger keeps 1 of 2 heads and 3 of 6 neurons in block 0
    loop = joint_loop(distiller)
    loop.runner.optim_wrapper = build_optim_wrapper(distiller, with_constructor(SETTINGS))
    block = distiller.network.backbone.layers[0]
    before = [block.ffn.layers[0][0].weight.detach().clone(), block.attn.qkv.weight.detach().clone()]
    loop.step(raw_batch())
    moved = (block.ffn.layers[0][0].weight != before[0]).any(1)
    assert moved.tolist() == [True] * 3 + [False] * 3
    moved = (block.attn.qkv.weight != before[1]).any(1).unflatten(0, (3, 2, 4))
    assert moved[:, 0].all() and not moved[:, 1].any()


# --- in the host's runner ---

def test_a_resumed_run_ends_where_an_uninterrupted_one_does(make_distiller, tmp_path):
    def train(name, resume=None):
        runner = Runner(
            model=make_distiller(), work_dir=str(tmp_path / name), default_scope='mmpretrain', log_level='WARNING',
            train_dataloader=torch.utils.data.DataLoader(RawImages(), batch_size=2, collate_fn=collate),
            train_cfg=dict(type='mmamd.JointTrainLoop', max_epochs=2), randomness=dict(seed=3),
            optim_wrapper=with_constructor(SETTINGS), experiment_name=f'{tmp_path.name}_{name}',
            param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4)],
            load_from=resume, resume=resume is not None)
        runner.train()
        return torch.load(tmp_path / name / 'epoch_2.pth', weights_only=False)

    whole = train('whole')
    resumed = train('resumed', str(tmp_path / 'whole' / 'epoch_1.pth'))
    assert all(torch.equal(value, resumed['state_dict'][key]) for key, value in whole['state_dict'].items())
    states = whole['optimizer']['state']
    assert any('momentum_buffer' in state for state in states.values())
    for index, state in states.items():
        assert all(torch.equal(value, resumed['optimizer']['state'][index][key]) for key, value in state.items())


# --- refused ---

@pytest.mark.parametrize('overrides, message', [
    (dict(momentum=1.), r'momentum must lie in \[0, 1\), got 1.0; 0.95'),
    (dict(momentum=-0.1), r'momentum must lie in \[0, 1\), got -0.1'),
    (dict(lr=-1.), 'Invalid learning rate: -1.0'),
    (dict(weight_decay=-1.), 'Invalid weight_decay value: -1.0'),
    (dict(betas=(0.9, 1.)), 'Invalid beta parameter at index 1: 1.0')])
def test_options_out_of_range_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        check_muon(dict(optimizer={**SETTINGS['optimizer'], **overrides}), Toy())


def test_a_backbone_without_linear_layers_is_refused():
    model = Toy()
    del model.backbone['qkv'], model.backbone['fc']
    with pytest.raises(ValueError, match="matrices of linear layers, and the backbone .* none; set .*type='AdamW'"):
        check_muon(SETTINGS, model)


def test_parameters_whose_names_are_not_known_are_refused():
    with pytest.raises(ValueError, match="given no matrix; set optim_wrapper.constructor='mmamd.MuonConstructor'"):
        build_optim_wrapper(Toy(), SETTINGS)


def test_settings_of_other_optimizers_are_left_as_they_are():
    settings = dict(optimizer=dict(type='AdamW', lr=1e-3))
    assert with_constructor(settings) is settings
