"""Data sets: parts of another (a hold-out for the selection, few images of each class), views that repeat, and real
data sets, of which one is always at hand."""

from mmamd.datasets.digits import Digits
from mmamd.datasets.few_shot import FewShot
from mmamd.datasets.holdout import HoldOut, split_by_class, split_in_blocks
from mmamd.datasets.repeated_views import RepeatedViews
from mmamd.datasets.stream_sampler import StreamSampler

__all__ = ['Digits', 'FewShot', 'HoldOut', 'RepeatedViews', 'StreamSampler', 'split_by_class', 'split_in_blocks']
