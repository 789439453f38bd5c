"""The least-squares problem that a refit solves.

Shapes: M equations, K inputs, C outputs.
"""

import numpy as np
import pytest
import torch

from mmamd.pruning.least_squares import ROUNDING, Equations, solve

M, K, C = 200, 6, 4


def problem(seed=0, num=M):
    generator = torch.Generator().manual_seed(seed)
    h_MK, t_MC, start_KC = (torch.randn(*shape, generator=generator, dtype=torch.float64)
                            for shape in ((num, K), (num, C), (K, C)))
    return h_MK + 1, t_MC + 2, start_KC


def equations_of(h_MK, t_MC, parts=3):
    equations = Equations(h_MK.shape[1], t_MC.shape[1], h_MK.dtype)
    for h, t in zip(h_MK.chunk(parts), t_MC.chunk(parts), strict=True):
        equations.add(h, t)
    return equations


def penalty(weight_KC, start_KC, h_MK, ridge):
    centred = h_MK - h_MK.mean(0)
    return float(ridge * (centred.T @ centred).trace() / K * (weight_KC - start_KC).square().sum())


@pytest.mark.parametrize('ridge', [1e-10, 1e-3, 10.])
def test_it_is_the_closed_form(ridge):
    h_MK, t_MC, start_KC = problem()
    found = solve(equations_of(h_MK, t_MC), start_KC, ridge)
    # The ridge as K further equations sqrt(lam) W = sqrt(lam) W_0, and the bias as an input that is 1.
    h, t, start = h_MK.numpy(), t_MC.numpy(), start_KC.numpy()
    centred = h - h.mean(0)
    lam = ridge * (centred**2).sum() / K
    left = np.block([[h, np.ones((M, 1))], [lam**0.5 * np.eye(K), np.zeros((K, 1))]])
    right = np.vstack([t, lam**0.5 * start])
    expected = np.linalg.lstsq(left, right, rcond=None)[0]
    np.testing.assert_allclose(found.weight_KC, expected[:K], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.bias_C, expected[K], rtol=0, atol=1e-8)


def test_without_a_bias_it_goes_through_the_origin():
    h_MK, t_MC, start_KC = problem()
    found = solve(equations_of(h_MK, t_MC), start_KC, 1e-3, has_bias=False)
    gram = (h_MK.T @ h_MK).numpy()
    lam = 1e-3 * np.trace(gram) / K
    expected = np.linalg.solve(gram + lam * np.eye(K), (h_MK.T @ t_MC).numpy() + lam * start_KC.numpy())
    np.testing.assert_allclose(found.weight_KC, expected, rtol=0, atol=1e-8)
    assert found.bias_C is None


@pytest.mark.parametrize('ridge', [1e-10, 1e-3, 10.])
def test_error_and_penalty_are_not_more_than_the_error_of_the_start_with_its_best_bias(ridge):
    h_MK, t_MC, start_KC = problem()
    found = solve(equations_of(h_MK, t_MC), start_KC, ridge)
    left_before = t_MC - h_MK @ start_KC
    assert found.before == pytest.approx(float((left_before - left_before.mean(0)).square().sum()), rel=1e-9)
    left_after = t_MC - h_MK @ found.weight_KC - found.bias_C
    assert found.after == pytest.approx(float(left_after.square().sum()), rel=1e-9)
    assert found.penalty == pytest.approx(penalty(found.weight_KC, start_KC, h_MK, ridge), rel=1e-6, abs=1e-6)
    assert found.after + found.penalty <= found.before * (1 + 1e-9)


def test_a_start_that_is_right_does_not_move_however_large_the_ridge():
    h_MK, _, start_KC = problem()
    for ridge in (1e-10, 1e-3, 10.):
        found = solve(equations_of(h_MK, h_MK @ start_KC + 3), start_KC, ridge)
        torch.testing.assert_close(found.weight_KC, start_KC, rtol=0, atol=1e-10)
        torch.testing.assert_close(found.bias_C, torch.full((C,), 3., dtype=torch.float64), rtol=0, atol=1e-10)


def test_what_no_equation_speaks_of_stays_as_it_was():
    h_MK, t_MC, start_KC = problem()
    h_MK[:, 2] = 5.  # a constant, which the bias takes
    found = solve(equations_of(h_MK, t_MC), start_KC, 1e-3)
    torch.testing.assert_close(found.weight_KC[2], start_KC[2], rtol=0, atol=1e-6)


def test_inputs_far_from_0_that_hardly_vary_are_solved_in_spite_of_the_rounding_of_their_products():
    generator = torch.Generator().manual_seed(0)
    h_MK = 100 * torch.rand(400, generator=generator) + 1e-3 * torch.randn(100, 400, generator=generator)
    t_MC, start_KC = torch.randn(100, C, generator=generator), torch.zeros(400, C)
    equations = equations_of(h_MK, t_MC)
    gram_KK = equations.hh_KK - equations.h_K.outer(equations.h_K) / equations.num
    lam = (1e-3 * gram_KK.trace().clamp(min=0) + ROUNDING[torch.float32] * equations.hh_KK.trace()) / 400
    assert torch.linalg.eigvalsh(gram_KK)[0] < -lam  # so that the penalty does not make it positive definite
    found = solve(equations, start_KC, 1e-3)
    assert found.weight_KC.isfinite().all() and found.weight_KC.abs().max() < 1


def test_without_inputs_it_is_the_mean_of_the_targets():
    _, t_MC, _ = problem()
    found = solve(equations_of(torch.zeros(M, 0, dtype=torch.float64), t_MC), torch.zeros(0, C), 1e-3)
    torch.testing.assert_close(found.bias_C, t_MC.mean(0))
    assert found.weight_KC.shape == (0, C)


def test_batches_may_be_cut_anyhow():
    h_MK, t_MC, start_KC = problem()
    one, many = (solve(equations_of(h_MK, t_MC, parts), start_KC, 1e-3) for parts in (1, 50))
    torch.testing.assert_close(one.weight_KC, many.weight_KC, rtol=0, atol=1e-12)


def test_float32_batches_are_summed_in_float64():
    h_MK, t_MC, start_KC = problem(num=20_000)
    exact = solve(equations_of(h_MK, t_MC), start_KC, 1e-3)
    rounded = solve(equations_of(h_MK.float(), t_MC.float(), parts=200), start_KC.float(), 1e-3)
    assert rounded.weight_KC.dtype == torch.float64
    torch.testing.assert_close(rounded.weight_KC, exact.weight_KC, rtol=0, atol=2e-4)


def test_macs_are_those_of_the_two_products():
    h_MK, t_MC, _ = problem()
    assert equations_of(h_MK, t_MC).macs == M * K * K + M * K * C


def test_what_is_not_finite_is_refused():
    h_MK, t_MC, start_KC = problem()
    h_MK[3, 1] = float('nan')
    with pytest.raises(FloatingPointError, match='NaN or infinity'):
        solve(equations_of(h_MK, t_MC), start_KC, 1e-3)


def test_no_equation_is_refused():
    with pytest.raises(ValueError, match='no equation to solve; check that the images of compression.refit'):
        solve(Equations(K, C), torch.zeros(K, C), 1e-3)
