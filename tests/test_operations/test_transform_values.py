"""Every transform that draws nothing, against its formula in numpy, for maps, states of tokens and vectors."""

import numpy as np
import pytest
import torch

from mmamd.registry import KD_TRANSFORMS

MAPS, ROWS, VECTORS = (4, 6, 8, 8), (4, 6, 5), (4, 6)
UNEVEN = (2, 3, 7, 6)  # fields of 2 and of 4 go over the edge


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def flat(x):
    return x.reshape(*x.shape[:2], -1)


def norm(x, axis):
    return x / np.sqrt((x**2).sum(axis, keepdims=True))


def standardised(x):
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def fields(x, side):
    """(N, C, rows of fields, columns of fields, side, side), zeros over the edge."""
    n, c, h, w = x.shape
    rows, columns = -(-h // side), -(-w // side)
    padded = np.zeros((n, c, rows * side, columns * side))
    padded[:, :, :h, :w] = x
    return np.stack([np.stack([padded[:, :, i * side:(i + 1) * side, j * side:(j + 1) * side]
                               for j in range(columns)], 2) for i in range(rows)], 2)


def patches(side):
    return lambda x: fields(x, side).reshape(len(x), -1, side, side)


def largest(side):
    return lambda x: fields(x, side).max((4, 5))


def spatial_attention(x):
    strength = np.abs(x).mean(1).reshape(len(x), -1)
    weights = strength.shape[1] * softmax(strength / 0.5, 1)
    return x * np.sqrt(weights).reshape(len(x), 1, *x.shape[2:])


def channel_attention(x):
    if x.ndim < 4:
        return x.shape[1] * softmax(x / 0.5, 1)
    weights = x.shape[1] * softmax(np.abs(x).mean((2, 3)) / 0.5, 1)
    return x * np.sqrt(weights)[:, :, None, None]


def same(x):
    return x


# name -> formula, and the least number of axes from which on it does anything
FORMULAS = {
    'batchnorm': (standardised, 2), 'min-max': (lambda x: (x - x.min()) / (x.max() - x.min() + 1e-9), 2),
    'norm_HW': (lambda x: norm(x, tuple(range(2, x.ndim))), 3), 'norm_C': (lambda x: norm(x, 1), 2),
    'norm_N': (lambda x: norm(x, 0), 2),
    'softmax_HW': (lambda x: softmax(flat(x), 2), 3), 'softmax_C': (lambda x: softmax(x, 1), 2),
    'softmax_N': (lambda x: softmax(x, 0), 2),
    'logsoftmax_HW': (lambda x: np.log(softmax(flat(x), 2)), 3), 'logsoftmax_C': (lambda x: np.log(softmax(x, 1)), 2),
    'logsoftmax_N': (lambda x: np.log(softmax(x, 0)), 2),
    'exp': (np.exp, 2), 'mish': (lambda x: x * np.tanh(np.log(1 + np.exp(x))), 2),
    'leaky': (lambda x: np.where(x < 0, x / 100, x), 2), 'relu': (lambda x: np.maximum(x, 0), 2), 'tanh': (np.tanh, 2),
    'sigmoid': (lambda x: 1 / (1 + np.exp(-x)), 2), 'pow2': (lambda x: x * x, 2), 'pow4': (lambda x: x * x * x * x, 2),
    'log': (lambda x: np.sign(x) * np.log(np.abs(x) + 1e-9), 2),
    'sqrt': (lambda x: np.where(x < 0, np.nan, x) ** 0.5, 2),
    'scale': (lambda x: (x + 1) / 2, 2), 'scale_r1': (same, 4), 'scale_r2': (largest(2), 4),
    'multi-scale': (largest(4), 4), 'local_r1': (patches(1), 4), 'local_r2': (patches(2), 4),
    'local_r4': (patches(4), 4), 'batch': (lambda x: x.reshape(len(x), -1), 3), 'channel': (flat, 4),
    'satt': (spatial_attention, 4), 'catt': (channel_attention, 2), 'natt': (lambda x: len(x) * softmax(x / 0.5, 0), 2),
    'no': (same, 2), 'bmm': (lambda x: np.einsum('ncm,ndm->ncd', flat(x), flat(x)), 3),
    'mm': (lambda x: np.einsum('nm,om->no', x.reshape(len(x), -1), x.reshape(len(x), -1)), 3)}


def test_those_that_are_left_out_draw():
    transforms = KD_TRANSFORMS.module_dict
    assert {name for name in transforms if transforms[name].draws} == {'drop', 'mask'} == transforms.keys() - FORMULAS


@pytest.mark.parametrize('name', sorted(FORMULAS))
def test_values_are_those_of_the_formula(name):
    formula, least_axes = FORMULAS[name]
    for seed, shape in enumerate((MAPS, UNEVEN, ROWS, VECTORS)):
        x = np.random.default_rng(seed).normal(size=shape) * 2
        found = KD_TRANSFORMS.module_dict[name](torch.from_numpy(x), None).numpy()
        expected = formula(x) if x.ndim >= least_axes else x
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=str(shape))
