"""Areas of classes in images, of which measures of a segmentation are made.

Shapes: N images, C classes, B draws.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def mean_of_defined(values: np.ndarray) -> float:
    """Mean over the classes for which a measure is defined; NaN where there is none."""
    defined = np.asarray(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan


def areas_in(results: list) -> Tensor | None:
    """(N, 4, C) of intersection, union, prediction and label, as IoUMetric collects them; None for other results."""
    if not results or not all(isinstance(each, tuple) and len(each) == 4 and isinstance(each[0], Tensor)
                              for each in results):
        return None
    return torch.stack([torch.stack(each) for each in results]).double()  # float32 is not exact beyond 2^24 pixels


def areas_of(metric: Any, results: list) -> Tensor | None:
    """The same, for a metric that makes its measures of areas."""
    return areas_in(results) if hasattr(metric, 'total_area_to_metrics') else None


def sums_of_draws(areas_N4C: Tensor, draws_BN: NDArray) -> Tensor:
    """Areas of all images of each draw, (B, 4, C); draws are indices of images."""
    counts_BN = np.stack([np.bincount(draw, minlength=len(areas_N4C)) for draw in draws_BN])
    return (torch.from_numpy(counts_BN).double() @ areas_N4C.flatten(1)).unflatten(1, areas_N4C.shape[1:])
