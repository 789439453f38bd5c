import inspect
import math

import pytest
import torch
import torch.nn.functional as F

from mmamd.distillation.operations.activations import log
from mmamd.distillation.operations.attention import catt, drop, mask, natt, satt
from mmamd.distillation.operations.norms import batchnorm, min_max, norm_c, norm_hw
from mmamd.distillation.operations.other import bmm, mm
from mmamd.distillation.operations.scales import local_r2, multi_scale, scale_r2
from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS

MAPS, ROWS, VECTORS = (4, 6, 8, 8), (4, 6, 5), (4, 6)
SHAPES = [MAPS, ROWS, VECTORS]
# What differs from its argument's shape: of maps, of (N, C, M), of (N, C).
CHANGED = {
    'softmax_HW': [(4, 6, 64), ROWS, VECTORS], 'logsoftmax_HW': [(4, 6, 64), ROWS, VECTORS],
    'multi-scale': [(4, 6, 2, 2), ROWS, VECTORS], 'scale_r2': [(4, 6, 4, 4), ROWS, VECTORS],
    'local_r1': [(4, 384, 1, 1), ROWS, VECTORS], 'local_r2': [(4, 96, 2, 2), ROWS, VECTORS],
    'local_r4': [(4, 24, 4, 4), ROWS, VECTORS], 'batch': [(4, 384), (4, 30), VECTORS],
    'channel': [(4, 6, 64), ROWS, VECTORS], 'bmm': [(4, 6, 6), (4, 6, 6), VECTORS], 'mm': [(4, 4), (4, 4), VECTORS]}


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rand(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_there_are_the_operations_of_table_1_each_with_its_formula():
    assert [len(each.module_dict) for each in (KD_TRANSFORMS, KD_DISTANCES, KD_CALIBRATIONS)] == [38, 8, 5]
    for registry in (KD_TRANSFORMS, KD_DISTANCES, KD_CALIBRATIONS):
        assert all(inspect.getdoc(each.function) for each in registry.module_dict.values())


@pytest.mark.parametrize('name', sorted(KD_TRANSFORMS.module_dict))
def test_shape_rank_and_finiteness_with_gaussian_knowledge(name):
    transform = KD_TRANSFORMS.module_dict[name]
    for shape, expected in zip(SHAPES, CHANGED.get(name, SHAPES), strict=True):
        x = drawn(*shape)
        found = transform(x, rand)
        assert found.shape == expected
        assert found.isfinite().all() or name == 'sqrt'
        assert found.ndim == (transform.gives or len(shape)) or len(shape) < transform.least_rank
        if len(shape) < transform.least_rank or transform.is_identity:
            assert torch.equal(found, x)
        if transform.is_idempotent:
            assert torch.equal(transform(found, rand), found)


def test_which_of_them_say_nothing_of_one_sample_alone():
    assert {name for name, transform in KD_TRANSFORMS.module_dict.items() if transform.needs_batch} == {
        'batchnorm', 'norm_N', 'softmax_N', 'logsoftmax_N', 'natt', 'mm'}


def test_sqrt_of_a_negative_number_is_none_and_log_keeps_the_sign():
    assert KD_TRANSFORMS.module_dict['sqrt'](torch.tensor([[-1., 4.]])).isnan().tolist() == [[True, False]]
    torch.testing.assert_close(log(torch.tensor([[-math.e, math.e, 0.]])), torch.tensor([[-1., 1., 0.]]))


@pytest.mark.parametrize('shape', SHAPES)
def test_norms_along_their_axes(shape):
    x = drawn(*shape)
    torch.testing.assert_close(norm_c(x), F.normalize(x, dim=1))
    torch.testing.assert_close(batchnorm(x), F.batch_norm(x, None, None, training=True))
    assert (min_max(x).min(), min_max(x).max()) == (0., pytest.approx(1.))
    if len(shape) > 2:
        torch.testing.assert_close(norm_hw(x).flatten(2).norm(dim=2), torch.ones(4, 6))


def test_a_vector_of_length_0_is_left_and_has_a_finite_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    norm_c(x).sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() <= 1


def test_fields_that_go_over_the_edge_are_padded_with_zeros():
    x = torch.tensor([[[[1., 2., -3.], [4., 3., -3.], [-1., -1., -1.]]]])
    assert scale_r2(x).tolist() == [[[[4., 0.], [0., 0.]]]]
    assert multi_scale(x).tolist() == [[[[4.]]]]
    assert local_r2(x).tolist() == [[[[1., 2.], [4., 3.]], [[-3., 0.], [-3., 0.]], [[-1., -1.], [0., 0.]],
                                     [[-1., 0.], [0., 0.]]]]


def test_attention_of_equal_strength_weighs_nothing_and_its_weights_have_mean_1():
    x = torch.full(MAPS, 2.)
    for attention in (satt, catt):
        torch.testing.assert_close(attention(x), x)
    x = drawn(*MAPS)
    torch.testing.assert_close((satt(x) / x).square().mean(dim=(2, 3)), torch.ones(4, 6))  # A, mean over positions
    torch.testing.assert_close((catt(x) / x).square().mean(dim=1), torch.ones(4, 8, 8))
    torch.testing.assert_close(natt(x).mean(dim=0), torch.ones(6, 8, 8))
    torch.testing.assert_close(catt(drawn(*VECTORS)).mean(dim=1), torch.ones(4))


@pytest.mark.parametrize('attention', [satt, catt])
def test_attention_to_one_of_all_has_a_finite_gradient(attention):
    x = drawn(*MAPS)
    x[:, :, 0, 0] = x[:, 0] = 300.  # beside which the softmax of the others is 0
    x.requires_grad_()
    attention(x).sum().backward()
    assert x.grad.isfinite().all()


def test_what_is_hidden_are_whole_channels_or_positions():
    ones = torch.ones(50, 40, 4, 4)
    dropped = drop(ones, rand)
    assert dropped.unique().tolist() == [0., pytest.approx(1 / 0.9)] and dropped.std(dim=(2, 3)).max() == 0
    assert (dropped == 0).float().mean() == pytest.approx(0.1, abs=0.02)
    masked = mask(ones, rand)
    assert masked.std(dim=1).max() == 0 and masked.mean() == pytest.approx(0.35, abs=0.03)


def test_grams():
    x = torch.tensor([[[1., 2.], [0., 1.]], [[3., 0.], [1., 1.]]])
    assert bmm(x).tolist() == [[[5., 2.], [2., 1.]], [[9., 3.], [3., 2.]]]
    assert mm(x).tolist() == [[6., 4.], [4., 11.]]  # (1, 2, 0, 1) and (3, 0, 1, 1)
