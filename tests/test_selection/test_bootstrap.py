import numpy as np
import pytest

from mmamd.selection.bootstrap import contains_zero, interval, standard_error


def test_interval_takes_the_percentiles_and_the_standard_error_is_their_spread():
    draws = [i / 1000 for i in range(1001)]
    assert interval(draws) == pytest.approx((0.025, 0.975))
    assert interval(draws, level=0.5) == pytest.approx((0.25, 0.75))
    assert standard_error([0.1, 0.2, 0.3]) == pytest.approx(0.1)  # variance (.01 + 0 + .01) / (3 - 1)


def test_intervals_need_draws_and_a_level_between_0_and_1():
    for function in (interval, standard_error):
        with pytest.raises(ValueError, match='at least two draws, got 1'):
            function([0.5])
    with pytest.raises(ValueError, match=r'level must lie in \(0, 1\), got 95'):
        interval([0.1, 0.2], level=95)


@pytest.mark.parametrize('low, expected', [(-30, True), (-3, True), (-2, False), (0, False)])
def test_an_interval_contains_zero_unless_nearly_all_draws_have_one_sign(low, expected):
    # 101 draws, one apart: the interval begins 2.5 above the lowest.
    assert contains_zero(np.arange(low, low + 101)) == expected
