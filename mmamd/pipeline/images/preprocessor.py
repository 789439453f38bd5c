"""How images are normalised, checked before any is."""

import math
from typing import Any


def check_preprocessor(preprocessor: dict | None, where: str) -> None:
    """Raise ValueError for a mean that is not finite, or a deviation that is no positive number.

    Args:
        preprocessor: Config of a data preprocessor, with ``mean`` and ``std`` over 0 to 255, one number a channel.
        where: Whose it is, for the message.
    """
    for key, expected in (('mean', 'finite numbers'), ('std', 'positive finite numbers')):
        values = (preprocessor or {}).get(key)
        if values is None:
            continue
        if not isinstance(values, (list, tuple)) or not values or not all(
                _is_finite(value) and (key == 'mean' or value > 0) for value in values):
            raise ValueError(f'{where}.{key} must be {expected}, one a channel over values of 0 to 255, got '
                             f'{values!r}; those of ImageNet are mean=[123.675, 116.28, 103.53] and std=[58.395, '
                             '57.12, 57.375]')


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
