"""Bootstrap draws: intervals and standard errors of what was measured.

Legend: B bootstrap draws.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95  # coverage of every interval that is reported


def interval(resampled: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval (low, high) of bootstrap draws.

    Raises:
        ValueError: There are fewer than two draws, or ``level`` lies outside (0, 1).
    """
    _check_draws(resampled)
    if not 0 < level < 1:
        raise ValueError(f'level must lie in (0, 1), got {level}; 0.95 is usual')
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def standard_error(resampled: ArrayLike) -> float:
    """Standard deviation of the bootstrap draws, with B - 1 in the denominator.

    Raises:
        ValueError: There are fewer than two draws.
    """
    _check_draws(resampled)
    return float(np.std(resampled, ddof=1))


def contains_zero(draws: NDArray) -> bool:
    """Whether the interval of some draws contains 0."""
    low, high = interval(draws)
    return low <= 0 <= high


def _check_draws(resampled: ArrayLike) -> None:
    if np.size(resampled) < 2:
        raise ValueError(f'a bootstrap needs at least two draws, got {np.size(resampled)}; resample the split again')
