import pytest

from mmamd.distillation.warmup import check_warmup, grown


@pytest.mark.parametrize('progress, warmup, factor', [
    (0., 0.5, 0.), (0.125, 0.5, 0.25), (0.5, 0.5, 1.), (0.9, 0.5, 1.), (0., 0., 1.), (1 / 24, 1 / 12, 0.5)])
def test_a_term_grows_linearly_over_a_share_of_the_stage(progress, warmup, factor):
    assert grown(progress, warmup) == pytest.approx(factor)


@pytest.mark.parametrize('warmup', [-0.1, 1.5, True, '0.5', float('nan')])
def test_what_is_no_share_is_refused(warmup):
    with pytest.raises(ValueError, match=r'warmup must be a share of the stage in \[0, 1\], got .*; 0 is none'):
        check_warmup(warmup)
